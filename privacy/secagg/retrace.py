"""Believe a sum that an earlier epoch opened, from what was kept of it: at a member that was away, and at a coordinator
that was restarted.

It sends nothing and reads no disk. Theory: an opened sum is kept with the epoch's signed agreements, the survivors'
signed headers and c + 1 sum signatures. With the request derived from the sums before it, that is all there is to
check, whoever shows it: a coordinator's own disk is believed no more than the coordinator.
"""

from dataclasses import dataclass, field, replace

from privacy.envelope import Address, open_envelope
from privacy.errors import VerificationError
from privacy.field import Plan
from privacy.manifest import Manifest
from privacy.messages import CatchUp
from privacy.roster import Roster
from privacy.secagg import binding as bind
from privacy.secagg.cohort import check_cohort_size
from privacy.secagg.downlink import OpenedRound
from privacy.secagg.evidence import check_agreements, check_opened
from privacy.secagg.history import History, OpenedSum
from privacy.wire import Packet

__all__ = ["Retraced", "retrace", "shown"]


def shown(message: CatchUp, packet: Packet) -> OpenedRound:
    """Return the opened sum that a coordinator shows to a member; nothing of it is checked yet."""
    agreements, evidence = packet.attachments[: message.agreements], packet.attachments[message.agreements :]
    count = len(message.opened.survivors)
    headers, signatures = evidence[:count], evidence[count:]
    return OpenedRound(message.opened, message.agreement_root, agreements, headers, signatures, packet.vector)


def retrace(manifest: Manifest, history: History, past: OpenedRound, ask: bytes, plan: Plan) -> OpenedSum:
    """Check an opened sum against the request derived for it and append it to `history`.

    Raises `PeerError`, `RefusalError` or `VerificationError` for one that does not follow the last, lacks a signature
    or differs from a vote that the history holds.
    """
    opened = past.opened
    here = Address(manifest.job, opened.epoch, opened.position, manifest.sha256(), past.root)
    roster = Roster(tuple(open_envelope(raw, manifest.identity_of).sender for raw in past.agreements))
    check_agreements(roster, past.agreements, replace(here, position=0), manifest.identity_of)
    check_cohort_size(opened.survivors, manifest.roster)
    bound = bind.binding(past.root, opened.position, opened.round, bind.ask_digest(ask), history.transcript)
    here = replace(here, binding=bound)
    seats = (roster, plan, manifest.roster.colluders)
    headers = check_opened(opened, past.evidence, here, seats, manifest.identity_of)
    plan.from_bytes(past.vector)
    return history.take(opened, past.vector, headers, bound)


@dataclass(slots=True)
class Retraced:
    """The sums of an earlier process of the coordinator, checked one after the other.

    epoch: the last epoch that any process called together; the next one is later. A member refuses an earlier number.
    """

    manifest: Manifest
    epoch: int
    opened: list[OpenedRound] = field(default_factory=list)
    history: History = field(init=False)

    def __post_init__(self) -> None:
        self.history = History(self.manifest.sha256(), {})

    def take(self, past: OpenedRound, ask: bytes, plan: Plan) -> None:
        """Check the next sum and go on from it; raises what `retrace` raises, and for an epoch that was not kept."""
        if past.opened.epoch > self.epoch:
            raise VerificationError("epoch-unknown", f"a sum of epoch {past.opened.epoch} was kept, but not that epoch")
        retrace(self.manifest, self.history, past, ask, plan)
        self.opened.append(past)
