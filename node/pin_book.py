"""The keys that this bank has pinned of the others, in members.json, and those that wait for somebody to compare them.

It asks nobody. Theory: a list of signed entries comes from the coordinator, who is not believed. An entry of a bank
that is pinned with the same keys says nothing new. Other keys under a pinned name are never taken: they wait, with an
alarm, until a person here has compared the fingerprint by telephone. A bank that is new waits as well, or is pinned at
first sight and marked so, as the permit says. The file is written whole beside the old one and takes its place; a lock
keeps the running node and a command from overwriting each other.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.keys_file import read_peers
from privacy.errors import InputError, PeerError, VerificationError
from privacy.fingerprint import check_whole, matches
from privacy.member_entry import MemberEntry, SignedEntry, entry_of
from privacy.roster import MAX_MEMBERS, check_member_id

__all__ = ["PinBook", "Standing", "Taken", "open_book", "write_whole"]

_ROLES = ("identity", "log", "witness")


@dataclass(frozen=True, slots=True)
class Standing:
    """How one bank stands here.

    state: founding, own, telephone or first-use for one that is pinned; waiting for one that is not; changed for one
    whose listed keys differ from the pinned ones. fingerprint: of pinned keys that were compared, else empty: who is to
    compare must hear it on the telephone, and would only copy what stood here.
    """

    member: str
    state: str
    fingerprint: str


@dataclass(slots=True)
class Taken:
    """What a list brought: ids pinned at first sight, ids that wait now, and faults as (code, text)."""

    pinned: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


class PinBook:
    """Read and change one members.json."""

    def __init__(self, path: Path, own: str, consortium: str) -> None:
        """path: members.json, which exists. own: this bank's id."""
        self._path, self._own, self._consortium = path, own, consortium

    def take(self, entries: Iterable[SignedEntry], verified_only: bool) -> Taken:
        """Take a list of entries, whose signatures are checked here; raises `InputError` if the file is unusable."""
        taken = Taken()
        with self._changing() as document:
            for signed in entries:
                try:
                    self._take(document, signed.check(), signed, verified_only, taken)
                except PeerError as error:
                    taken.faults.append((error.code, error.message))
        return taken

    def verify(self, member: str, typed: str) -> str:
        """Pin a bank's keys because a person compared them; return the fingerprint.

        Raises:
            InputError: nothing is known of such a bank, or what was typed is no whole fingerprint.
            VerificationError: `fingerprint-wrong`.
        """
        check_member_id(member)
        with self._changing() as document:
            pinned = document["members"].get(member)
            waits = document.get("waiting", {}).get(member)
            if pinned is None and waits is None:
                raise InputError(
                    "peer-unknown",
                    f"nothing is known of {member} yet: its keys come from the coordinator while this node runs "
                    "(creditmesh-node run), once the operator approved it; see: creditmesh-node peers",
                )
            check_whole(typed)
            if waits is not None:
                signed = entry_of(self._consortium, waits)
                entry = signed.check()
                if matches(typed, entry.fingerprint()):
                    self._check_free(document, entry)
                    document["members"][member] = {**entry.keys(), "checked": "telephone"}
                    del document["waiting"][member]
                    return entry.fingerprint()
            if pinned is not None:
                known = self._entry(member, pinned).fingerprint()
                if matches(typed, known):
                    if pinned.get("checked", "founding") == "first-use":
                        pinned["checked"] = "telephone"
                    return known
        raise VerificationError("fingerprint-wrong", _no_match(member, pinned is not None and waits is not None))

    def drop(self, member: str) -> None:
        """Forget a bank that left, pinned or waiting; raises `InputError` for this bank or an unknown one."""
        if member == self._own:
            raise InputError("peer-own", f"{member} is this bank itself")
        with self._changing() as document:
            known = document["members"].pop(member, None), document.get("waiting", {}).pop(member, None)
            if known == (None, None):
                raise InputError("peer-unknown", f"nothing is known of {member}")

    def standings(self) -> list[Standing]:
        """Return how every bank stands, by id."""
        document, found = _document(self._path), {}
        for member, keys in document["members"].items():
            state = keys.get("checked", "founding")
            shown = "" if state == "first-use" else self._entry(member, keys).fingerprint()
            found[member] = Standing(member, state, shown)
        for member in document.get("waiting", {}):
            pinned = found.get(member)
            found[member] = Standing(member, "changed" if pinned else "waiting", pinned.fingerprint if pinned else "")
        return [found[member] for member in sorted(found)]

    def _take(
        self, document: dict[str, Any], entry: MemberEntry, signed: SignedEntry, verified_only: bool, taken: Taken
    ) -> None:
        member, waiting = entry.member, document.setdefault("waiting", {})
        pinned = document["members"].get(member)
        if pinned is not None and {role: pinned[role] for role in _ROLES} == entry.keys():
            waiting.pop(member, None)
            return
        if member == self._own:
            raise PeerError("entry-own", "the coordinator's list shows other keys under this bank's own name")
        if waiting.get(member) == signed.document():
            return
        if pinned is None:
            self._check_free(document, entry)
            if not verified_only:
                document["members"][member] = {**entry.keys(), "checked": "first-use"}
                taken.pinned.append(member)
                return
        if len(waiting) >= MAX_MEMBERS and member not in waiting:
            raise PeerError("waiting-too-many", "more banks wait to be compared than a network has")
        waiting[member] = signed.document()
        taken.waiting.append(member)
        if pinned is not None:
            raise PeerError(
                "entry-changed", f"the list shows other keys of {member} than the pinned ones; they are refused"
            )

    def _check_free(self, document: dict[str, Any], entry: MemberEntry) -> None:
        """Raise `PeerError` for a key that another institution has."""
        others = [keys for name, keys in document["members"].items() if name != entry.member]
        taken = {keys[role].rpartition("+")[2] for keys in others for role in _ROLES}
        taken |= {document["coordinator"]["identity"], document["coordinator"]["log"].rpartition("+")[2]}
        mine = {entry.identity, entry.log.rpartition("+")[2], entry.witness.rpartition("+")[2]}
        if mine & taken:
            raise PeerError("entry-keys-taken", f"{entry.member} shows a key that another institution has")

    def _entry(self, member: str, keys: dict[str, str]) -> MemberEntry:
        return MemberEntry(self._consortium, member, keys["identity"], keys["log"], keys["witness"])

    @contextmanager
    def _changing(self) -> Iterator[dict[str, Any]]:
        """Hold the file's lock, yield its document, and write it if it changed and nothing was raised."""
        with self._path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            document = _document(self._path)
            before = json.dumps(document)
            yield document
            if not document.get("waiting", True):
                del document["waiting"]
            if json.dumps(document) != before:
                write_whole(self._path, json.dumps(document, indent=1).encode("ascii"))


def open_book(path: Path, coordinator: dict[str, str], own: MemberEntry) -> None:
    """Write the first members.json of a bank, the coordinator's keys and its own, or keep the one that is there.

    Raises `VerificationError` where that one pins other keys of the coordinator: who joins anew believes nobody anew.
    """
    if path.exists():
        kept = _document(path).get("coordinator")
        if kept != coordinator:
            message = (
                f"{path}: pins other keys of the coordinator than the one that answers now; if the consortium was "
                "founded anew, join with a new state folder, else do not join and tell the operator"
            )
            raise VerificationError("coordinator-changed", message)
        return
    document = {"coordinator": coordinator, "members": {own.member: {**own.keys(), "checked": "own"}}}
    write_whole(path, json.dumps(document, indent=1).encode("ascii"))


def write_whole(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Write a file beside the old one, durably, and put it in its place."""
    draft = path.with_name(path.name + ".draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    draft.replace(path)


def _document(path: Path) -> dict[str, Any]:
    read_peers(path)  # refuses what is malformed, in one line
    document: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return document


def _no_match(member: str, changed: bool) -> str:
    also = " (neither the pinned keys nor those that the coordinator lists now)" if changed else ""
    return (
        f"this is not the fingerprint of {member}'s keys as they are known here{also}: either it was misheard, or "
        "somebody put other keys under that name. Ask again by telephone; if it stays so, do not work with these keys"
    )
