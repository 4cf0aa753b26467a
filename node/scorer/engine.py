"""Keep the desk that decides: load it from its files, and change it when they change.

It answers nobody. Theory: a desk is made whole beside the old one and put in its place by one assignment, so a request
sees the old or the new and never a mixture; requests under way keep theirs. Files are looked at twice a second and must
have come to rest. Whatever cannot be loaded leaves no desk, and says which part: then everything goes to a person.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from node.journal_line import say
from node.serving import FILE, installed_of, read_serving
from node.toml_file import read_document
from privacy.errors import InputError, PrivacyError
from risk.decision import Desk
from risk.dictionary import Dictionary, parse_dictionary
from risk.errors import RiskError
from risk.lending_policy import LendingPolicy, parse_policy
from risk.portrait import Reference, reference_from_document

__all__ = ["DeskFiles", "Engine"]

_REFERENCE_BYTES = 4 << 20
Part = TypeVar("Part")
Stamp = tuple[tuple[str, int, int, int], ...]


class DeskFiles:
    """Where the parts of a desk lie: state folder, data dictionary, lending policy, and the portrait's reference."""

    def __init__(self, state: Path, schema: Path, policy: Path | None, reference: Path | None) -> None:
        """Take the paths; reference may be None for no portrait."""
        self.state, self.schema, self.policy, self.reference = state, schema, policy, reference

    def stamp(self) -> Stamp:
        """Return what changes when a file does; an absent one has no entry."""
        return tuple(self._stamps())

    def _stamps(self) -> Iterator[tuple[str, int, int, int]]:
        for path in (self.state / FILE, self.schema, self.policy, self.reference):
            try:
                if path is not None:
                    found = path.stat()
                    yield str(path), found.st_mtime_ns, found.st_size, found.st_ino
            except OSError:
                continue

    def load(self) -> tuple[Desk | None, dict[str, str]]:
        """Return the desk, or None with the parts that cannot be loaded and why."""
        faults: dict[str, str] = {}
        dictionary = _attempt("dictionary", self._dictionary, faults)
        policy = _attempt("policy", self._policy, faults)
        reference = None if self.reference is None else _attempt("reference", self._reference, faults)
        if dictionary is None:
            return None, faults
        serving = _attempt("model", lambda: read_serving(self.state), faults)
        if serving is None:
            return None, faults
        champion = _attempt("model", lambda: installed_of(self.state, dictionary, serving.champion), faults)
        if policy is None or champion is None or faults:
            return None, faults
        challenger, other = None, serving.challenger
        if other is not None:
            # A challenger decides nothing: without it the champion goes on, and the fault is told.
            aside: dict[str, str] = {}
            challenger = _attempt("challenger", lambda: installed_of(self.state, dictionary, other), aside)
            for reason in aside.values():
                say("challenger_unusable", reason=reason)
        desk = _attempt("policy", lambda: Desk(dictionary, policy, champion, challenger, reference), faults)
        return desk, faults

    def _dictionary(self) -> Dictionary:
        return parse_dictionary(read_document(self.schema), str(self.schema))

    def _policy(self) -> LendingPolicy:
        if self.policy is None:
            raise InputError("policy-none", "no lending policy is named; set scoring.policy in node.toml")
        return parse_policy(read_document(self.policy), str(self.policy))

    def _reference(self) -> Reference:
        assert self.reference is not None  # the caller asked
        with self.reference.open("rb") as stream:
            content = stream.read(_REFERENCE_BYTES + 1)
        document = json.loads(content) if len(content) <= _REFERENCE_BYTES else None
        return reference_from_document(document if isinstance(document, dict) else {})


class Engine:
    """Hold the desk in use; `refresh` is called by one task, `desk` is read by every request."""

    def __init__(self, files: DeskFiles) -> None:
        """Load for the first time; nothing is raised: what is missing stands in `faults`."""
        self.files = files
        self._loaded = self._seen = files.stamp()
        self.desk, self.faults = files.load()

    def changed(self) -> bool:
        """Say whether files have changed since they were loaded and have come to rest since the last call."""
        now = self.files.stamp()
        rested, self._seen = now == self._seen, now
        return rested and now != self._loaded

    def reload(self) -> None:
        """Load again and change over; may take a second, and may run in a thread."""
        stamp = self.files.stamp()
        desk, faults = self.files.load()
        self.desk, self.faults, self._loaded = desk, faults, stamp
        say("desk_changed", state=desk.champion.sha256 if desk else "none", reason="; ".join(faults.values()))


def _attempt(name: str, make: Callable[[], Part], faults: dict[str, str]) -> Part | None:
    """Return what `make` makes; where it fails for a reason that lies in a file, note the reason and return None."""
    try:
        return make()
    except (PrivacyError, RiskError) as error:
        faults[name] = error.message
    except (OSError, ValueError, RecursionError) as error:
        faults[name] = f"cannot be read ({type(error).__name__})"
    return None
