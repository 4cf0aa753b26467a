"""Who belongs to a network and by which keys, as a log tells it: what has to be written down when it changed.

It reads no file and decides on nobody. Theory: the log itself remembers what it last said, so what is pinned or
enrolled today is compared with the events there, and the difference is written. A key is text of the form
`<owner>/<role>+...` (a verifier key, or `<member>/identity+<hex>` for an identity); a key that differs under a known
name is a rotation, a name that appears or vanishes belongs to a member that came or went.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from privacy.log.record import Entry, Event

__all__ = ["Quorum", "identity_key", "membership_entries"]

_GONE = ("left", "suspended", "excluded")


@dataclass(frozen=True, slots=True)
class Quorum:
    """The policy in force: digest of its text (64 hex digits), and k of n witnesses."""

    policy_sha256: str
    k: int
    n: int


def identity_key(member: str, public: bytes) -> str:
    """Return the text of a member's identity key, 32 bytes."""
    return f"{member}/identity+{public.hex()}"


def membership_entries(
    past: Iterable[Event], current: Mapping[str, Sequence[str]], quorum: Quorum, suspended: Iterable[str] = ()
) -> list[Entry]:
    """Return the `member.changed` and `key.rotated` entries that bring a log up to date, none when nothing changed.

    past: the log's events of these two kinds, in order. current: keys of each member, and of the coordinator under its
    own name. suspended: those of them that may not take part now.
    """
    known, absent = _remembered(past)
    stopped = set(suspended)
    entries: list[Entry] = []
    for member in sorted(set(known) | set(current)):
        keys = list(current.get(member, ()))
        action = _action(member in known, member in current, absent.get(member, ""), member in stopped)
        before = {_name(key): key for key in known.get(member, ())}
        turned = [(before[_name(key)], key) for key in keys if before.get(_name(key), key) != key]
        entries += [_rotated(old, new) for old, new in turned]
        new_names = {_name(key) for key in keys} - set(before)
        if action or (member in known and member in current and new_names):
            entries.append(_changed(member, action or "joined", keys, quorum))
    return entries


def _action(known: bool, here: bool, absent: str, stopped: bool) -> str:
    """Return how a member's standing changed, empty if it did not; absent: why it was absent, empty if it was not."""
    if here and not known:
        return "joined"
    if not here:
        return "" if absent == "left" else "left"
    if stopped:
        return "" if absent else "suspended"
    return "restored" if absent else ""


def _remembered(past: Iterable[Event]) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the keys that the log last gave each member, and who is absent by it and why."""
    known: dict[str, list[str]] = {}
    absent: dict[str, str] = {}
    for event in past:
        body = event.body
        if event.kind == "key.rotated":
            for keys in known.values():
                keys[:] = [str(body["new_vkey"]) if key == body["old_vkey"] else key for key in keys]
            continue
        member = str(body["member"])
        vkeys = body["vkeys"]
        assert isinstance(vkeys, list)  # the schema says so
        if body["action"] in _GONE:
            absent[member] = str(body["action"])
            known.setdefault(member, [])
            continue
        absent.pop(member, None)
        known[member] = [str(key) for key in vkeys]
    return known, absent


def _name(key: str) -> str:
    return key.partition("+")[0]


def _changed(member: str, action: str, keys: list[str], quorum: Quorum) -> Entry:
    body = {
        "member": member,
        "action": action,
        "vkeys": keys,
        "policy_sha256": quorum.policy_sha256,
        "quorum": {"k": quorum.k, "n": quorum.n},
    }
    return Entry("member.changed", body)


def _rotated(old: str, new: str) -> Entry:
    body = {
        "role": _name(old).rpartition("/")[2],
        "old_vkey": old,
        "new_vkey": new,
        "overlap_until": "none",
        "reason": "another key was pinned in its place",
    }
    return Entry("key.rotated", body)
