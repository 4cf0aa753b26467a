"""Check that every sum the coordinator opened equals the plain sum of the same members' parts.

Only a demo can: it holds all tables. It takes part in nothing and changes nothing. Theory: a recipe's generator is a
pure function of the sums it received, so replaying it on plain sums derives the same requests in the same order; the
digests of the plain sums, as words on the wire, must then be those of the opened sums one by one.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from creditmesh_demo.disclosed import Disclosed
from privacy.noise import share_variance, skellam
from risk.job import Book, JobSpec, contribute, rounds
from risk.sampling import for_upload

__all__ = ["OPENED_FILE", "OpenedSum", "count_differences", "read_opened"]

OPENED_FILE = "opened-sums.jsonl"


@dataclass(frozen=True, slots=True)
class OpenedSum:
    """Name one opened sum: job, number (from 1), the members inside it, SHA-256 of its little-endian words in hex.

    place: its epoch and position, as "epoch/position".
    """

    job: str
    number: int
    survivors: tuple[str, ...]
    sha256: str
    place: str


def read_opened(path: Path, job: str) -> tuple[OpenedSum, ...]:
    """Return a job's opened sums by number, as the demo's coordinator process wrote them down."""
    if not path.exists():
        return ()
    entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    opened = [
        OpenedSum(entry["job"], entry["number"], tuple(entry["survivors"]), entry["sha256"], entry["place"])
        for entry in entries
        if entry["job"] == job
    ]
    return tuple(sorted(opened, key=lambda entry: entry.number))


def count_differences(
    opened: Sequence[OpenedSum], books: Mapping[str, Book], spec: JobSpec, disclosed: Disclosed
) -> int:
    """Return how many opened sums differ from the plain sums; one that the recipe never asks for counts too.

    disclosed: the keys of the members' noise, which is part of the sums of a job with noise.
    """
    generator = rounds(spec)
    ask = next(generator)
    for place, entry in enumerate(opened):
        share = share_variance(ask.noise, spec.members)
        total = np.zeros(ask.length, dtype=np.int64)
        for member in entry.survivors:
            key = disclosed.noise.get((member, entry.place), bytes(32))
            total += contribute(ask, for_upload(books[member], key))
            if share:
                total += skellam(key, ask.length, share)
        # Words modulo 2**w, as the ring has them; two's complement gives the same bits for a plain sum.
        words = total.astype(np.uint64).astype(np.uint32 if ask.word_bits == 32 else np.uint64)
        if hashlib.sha256(words.astype(words.dtype.newbyteorder("<")).tobytes()).hexdigest() != entry.sha256:
            # What follows was derived from another sum, so the rest cannot be compared.
            return len(opened) - place
        try:
            ask = generator.send(total)
        except StopIteration:
            return len(opened) - place - 1
    return 0
