"""Which public keys, witnesses and quorum the auditor judges a log by.

Three places, in this order: a key given for one log, policies (C2SP tlog-policy text, one log each), and members.json,
out of which every log's policy follows: the other banks' witnesses and the regulator's, never the coordinator. What no
place gives is taken from the log itself, which the caller must say.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from audit.members import Members, load_members, load_vkey
from audit.opened import OpenLog, read_small
from privacy.errors import InputError
from privacy.log.note import VerifierKey
from privacy.log.policy import Policy, network_policy, parse_policy

__all__ = ["Keys", "add_keys", "load_keys"]

_POLICY_LIMIT_BYTES = 1 << 18
_SUFFIX = "/privacy-log"


@dataclass(frozen=True, slots=True)
class Keys:
    """The auditor's keys.

    Attributes:
        log: key of the one log that is looked at.
        peer: key of the log that gave the receipts.
        members: the consortium's keys.
        policies: policies by the origin of their log.
    """

    log: VerifierKey | None
    peer: VerifierKey | None
    members: Members | None
    policies: Mapping[str, Policy]

    def of_origin(self, origin: str) -> VerifierKey | None:
        """Return the key that this log must have, None when the auditor holds none."""
        if self.log:
            return self.log
        if origin in self.policies:
            return self.policies[origin].log
        return self.members.logs.get(origin) if self.members else None

    def of_peer(self) -> VerifierKey | None:
        """Return the key of the log that gave the receipts: the coordinator's, unless another was given."""
        return self.peer or (self.members.coordinator_log if self.members else None)

    def policy_of(self, origin: str) -> Policy | None:
        """Return the witnesses and quorum of a log, None when the auditor holds none."""
        if origin in self.policies:
            return self.policies[origin]
        key = self.of_origin(origin)
        if key is None or self.members is None or not self.members.witnesses:
            return None
        return network_policy(key, origin.removesuffix(_SUFFIX), self.members.witnesses)

    def judge(self, log: OpenLog) -> OpenLog:
        """Return the log under the key that it must have."""
        return log.under(self.of_origin(log.origin))


def add_keys(command: argparse.ArgumentParser) -> None:
    """Add the options that give keys to a command."""
    command.add_argument("--vkey", metavar="KEY", help="the log's public key, or a file that holds it")
    command.add_argument("--members", type=Path, metavar="FILE", help="members.json with the public keys of all logs")
    command.add_argument(
        "--policy", type=Path, metavar="FILE", action="append", default=[], help="a log's key, witnesses and quorum"
    )


def load_keys(options: argparse.Namespace) -> Keys:
    """Read the keys that a command line names.

    Raises:
        InputError: for a file that cannot be read or holds no such keys.
    """
    policies = {}
    for path in options.policy:
        try:
            policy = parse_policy(read_small(path, _POLICY_LIMIT_BYTES).decode("utf-8"))
        except UnicodeDecodeError:
            raise InputError("policy-malformed", f"{path}: is no policy") from None
        except InputError as error:
            raise InputError(error.code, f"{path}: {error.message}") from error
        policies[policy.log.name] = policy
    members = load_members(options.members) if options.members else None
    return Keys(load_vkey(options.vkey), load_vkey(getattr(options, "peer_vkey", None)), members, policies)
