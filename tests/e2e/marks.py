"""Marked values for a bank's table, and the search for each of them in files, in every form that programs may give it.

A mark is a value that nothing but its bank's table explains. Theory: a search that finds nothing says something only if
no form is so short that chance brings it forth and none is forgotten, so each form has eight bytes at least (numbers of
four bytes are searched as neighbours), and the test that uses this plants each form and sees it found. What was
compressed or encrypted is not looked into.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["HEADER", "LEVEL", "Mark", "Needles", "bank_marks", "level_mark"]

SHORTEST = 8
BORROWER = b"creditmesh borrower/1|"
HEADER = "borrower,turnover,arrears,industry,memo,bad"
LEVEL = "fishery-of-Zhoushan-7c41"


@dataclass(frozen=True, slots=True)
class Mark:
    """One value that is searched, and which column it stands in."""

    column: str
    text: str
    forms: frozenset[bytes]


def bank_marks(place: int) -> tuple[list[str], list[Mark]]:
    """Return three lines of a table of the columns of `HEADER`, and the marks in them; place: which bank's."""
    turnovers = [612_347.19 + 31_013.37 * place, 734_219.83 - 27_011.71 * place, 545_118.47 + 20_023.59 * place]
    turnovers = [round(value, 2) for value in turnovers]
    borrowers = [f"31011519870{place}124{digit}17" for digit in (2, 5, 8)]
    memos = [f"周明轩·陆家嘴支行·{place}{letter}" for letter in "甲乙丙"]
    marks = [Mark("turnover", f"{value:.2f}", _number_forms(value)) for value in turnovers]
    pairs = np.array([[turnovers[0], turnovers[1]], [turnovers[1], turnovers[2]]])
    marks += [Mark("turnover", f"neighbours {pair}", _pair_forms(pair)) for pair in pairs]
    marks += [Mark("borrower", text, _identity_forms(text)) for text in borrowers]
    marks += [Mark("memo", text, _text_forms(text)) for text in memos]
    rows = zip(borrowers, turnovers, memos, (0, 1, 0), strict=True)
    return [f"{who},{value:.2f},1,{LEVEL},{memo},{bad}" for who, value, memo, bad in rows], marks


def level_mark() -> Mark:
    """Return the mark of the level that all marked rows have; it stands in the dictionary that members share."""
    return Mark("industry", LEVEL, _text_forms(LEVEL))


class Needles:
    """All forms of marks, ready to be searched at once."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._found: dict[int, list[tuple[bytes, Mark]]] = {}
        for mark in marks:
            for form in {shape for raw in mark.forms for shape in _shapes(raw)}:
                assert len(form) >= SHORTEST, (mark, form)
                self._found.setdefault(int.from_bytes(form[:SHORTEST], "little"), []).append((form, mark))
        self._heads = np.array(sorted(self._found), dtype=np.uint64)

    def __iter__(self) -> Iterator[tuple[bytes, Mark]]:
        return (pair for pairs in self._found.values() for pair in pairs)

    def search(self, held: bytes) -> list[tuple[bytes, Mark]]:
        """Return the forms, with their marks, that stand anywhere in `held`."""
        found: dict[bytes, Mark] = {}
        for offset in range(min(SHORTEST, max(len(held) - SHORTEST + 1, 0))):
            words = np.frombuffer(held, "<u8", (len(held) - offset) // SHORTEST, offset)
            places = np.minimum(np.searchsorted(self._heads, words), len(self._heads) - 1)
            for hit in np.flatnonzero(self._heads[places] == words):
                start = offset + SHORTEST * int(hit)
                for form, mark in self._found[int(words[hit])]:
                    if held.startswith(form, start):
                        found[form] = mark
        return list(found.items())

    def search_files(self, folder: Path, spared: Iterable[Path] = ()) -> list[str]:
        """Return where below `folder` marks stand, a line each: path, column, text and form.

        spared: files that may hold them. SQLite's index of its write-ahead log holds page numbers and is not read.
        """
        found = []
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path not in set(spared) and path.suffix != ".db-shm":
                hits = self.search(path.read_bytes())
                found += [f"{path.relative_to(folder)}: {mark.column} {mark.text} as {form!r}" for form, mark in hits]
        return found


def _number_forms(value: float) -> frozenset[bytes]:
    raws = {np.array(value, kind).tobytes() for kind in ("<f8", ">f8")}
    texts = {repr(value), f"{value:,.2f}", f"{value:.6f}", f"{value:.6e}", f"{value * 100:.0f}.0", value.hex()}
    # No bare digits: eight of them in a row stand in megabytes of hexadecimal digests by chance.
    return frozenset(raws | {form for text in texts for form in _text_forms(text)})


def _pair_forms(pair: np.ndarray) -> frozenset[bytes]:
    """Forms of two neighbours, for the words that are too short, or too empty, to be telling alone."""
    forms = {pair.astype(kind).tobytes() for kind in ("<f4", ">f4")}
    for scale in (1, 100):
        whole = np.rint(pair * scale)
        forms |= {whole.astype(kind).tobytes() for kind in ("<i4", ">i4", "<i8", ">i8")}
    return frozenset(forms)


def _identity_forms(text: str) -> frozenset[bytes]:
    number, raw = int(text), text.encode("ascii")
    digests = {hash_of(prefix + raw).digest()[:16] for hash_of in (hashlib.sha256, hashlib.sha1, hashlib.md5)
               for prefix in (b"", BORROWER)}  # fmt: skip
    return frozenset({number.to_bytes(8, order) for order in ("little", "big")} | digests | _text_forms(text))


def _text_forms(text: str) -> frozenset[bytes]:
    escaped = text.encode("ascii", "backslashreplace")
    return frozenset({escaped, *(text.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"))})


def _shapes(raw: bytes) -> Iterator[bytes]:
    """Yield bytes as they are, as hexadecimal digits, and as base64 at the three places that they can stand at."""
    yield raw
    yield raw.hex().encode("ascii")
    yield raw.hex().upper().encode("ascii")
    for before in range(3):
        # Letters that hold a neighbour's bits as well are left out at both ends.
        text = base64.b64encode(bytes(before) + raw)
        inner = text[(0, 2, 3)[before] : (len(raw) + before) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))
