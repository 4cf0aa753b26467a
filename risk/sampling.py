"""Poisson sampling: which of a member's rows one upload of a sampled request counts.

It adds no noise. Theory: noise hides a row better if the row is in the sum by chance only (amplification by sampling;
Mironov, Talwar and Zhang, 2019), as long as each row is drawn by itself, in secret, and afresh for every upload: two
noisy sums over one drawing cost more than two sums over two, so a request that is answered again draws again. The
bank's keyed function draws, from the request and from secret bytes of the upload that the bank keeps for a replay.
"""

import copy
import hashlib

import numpy as np

from risk.book import Book
from risk.errors import MisuseError
from risk.recipe import Ask
from risk.split import Prf, Split

__all__ = ["drawn_rows", "for_upload", "sampled"]

_PARTS = ("train", "holdout", "half-a", "half-b")


def for_upload(book: Book, upload: bytes) -> Book:
    """Return a book for one answer to one request; upload: secret bytes that no other answer has, at least 16."""
    if len(upload) < 16:
        raise MisuseError("sampling-upload", f"an upload's bytes are {len(upload)}, expected 16 or more")
    other = copy.copy(book)
    object.__setattr__(other, "upload", upload)
    return other


def sampled(book: Book, ask: Ask) -> Book:
    """Return a book of the rows that this upload of a sampled request counts.

    Raises `MisuseError` without the bank's keyed function, or where `for_upload` did not give the upload's bytes.
    """
    if book.prf is None or not book.upload:
        raise MisuseError("sampling-upload", "a sampled request needs the bank's keyed function and an upload's bytes")
    label = b"creditmesh sample/1|" + hashlib.sha256(ask.encode()).digest() + book.upload
    drawn = drawn_rows(book.table.rows, ask.sampling_ppm, label, book.prf)
    other = copy.copy(book)
    parts = (book.split.rows(name) for name in _PARTS)
    object.__setattr__(other, "split", Split(*(rows[drawn[rows]] for rows in parts)))
    # What was derived from all rows does not fit the drawn ones.
    object.__setattr__(other, "_kept", {})
    return other


def drawn_rows(rows: int, sampling_ppm: int, label: bytes, prf: Prf) -> np.ndarray:
    """Return which of so many rows are drawn, (rows,) bool: each by itself, with a chance in millionths.

    label: names the drawing. A row has 32 bits of its own; the chance is rounded down to whole parts of 2**32, hence
    never above the one that is priced.
    """
    bits = b"".join(prf(label + number.to_bytes(8, "big"))[:16] for number in range((rows + 3) // 4))
    limit = (sampling_ppm << 32) // 1_000_000
    return np.asarray(np.frombuffer(bits, dtype=">u4")[:rows] < limit)
