"""What a recipe asks the network to add, and the two halves that every recipe has.

A recipe is one module that holds both halves side by side: a generator `rounds(...)` that yields an `Ask` and
receives the sum over all members, and a function `contribute(ask, table)` that turns one member's rows into its
part of that sum. This module holds neither half and adds nothing itself.

Theory: the generator is a pure function of the sums it received, so the coordinator and every member run it and
derive the same `Ask` byte for byte; a request that a member did not derive is refused. All parts are integers:
each row is rounded to fixed point before it is added, so the sum over banks equals the sum over pooled rows bit
for bit, in any order.
"""

import hashlib
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from risk.errors import MisuseError

__all__ = ["ALL_ROWS", "Ask", "EndedEarly", "Rounds", "run_plain"]

ParameterValue = int | str | tuple[int, ...] | tuple[str, ...]


ALL_ROWS = 1_000_000
"""The sampling rate, in millionths, of a request that counts every row."""


class EndedEarly(Exception):
    """No further sum will come: a member's budget is spent.

    Thrown into a generator at its request; one that has a usable model returns it, any other lets this pass.
    """


@dataclass(frozen=True, eq=False, slots=True)
class Ask:
    """One request for a vector that all members add up.

    recipe: name and version, such as `scorecard/1`.
    part: the federation inside the job: `full`, `half-a`, `half-b`, or `inferred` (`risk.rejects`).
    name: what is asked, such as `sketch-2` or `newton-5`; unique within a part.
    rows: which rows count: `train`, `holdout`, `half-a`, `half-b`, `later` (`risk.split`), or `selected`: those that
    the parameters of a validation name.
    length: entries of the vector, 1 to 2**26.
    word_bits: 32 or 64, the width of the ring the entries are added in.
    bound: largest absolute value of an entry of one member's vector (max_rows times one row's bound).
    row_linf, row_l1: what one borrower's record can change: one entry, and the whole vector in L1.
    row_l2_squared: the same in L2, squared so that it is whole; 0 where the request carries no noise.
    noise: variance of the Skellam noise that the opened sum is guaranteed to hold; 0 for an exact sum. Who sends a
    part adds the noise, `contribute` does not, and `bound` is without it.
    sampling_ppm: chance, in millionths, with which each row was drawn for this request alone.
    parameters: small values in integers (grid steps), strings, or tuples of them.
    arrays: derived arrays that a member needs to contribute; float64, int64, float32 or uint8.
    """

    recipe: str
    part: str
    name: str
    rows: Literal["train", "holdout", "half-a", "half-b", "later", "selected"]
    length: int
    word_bits: Literal[32, 64]
    bound: int
    row_linf: int
    row_l1: int
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)
    row_l2_squared: int = 0
    noise: int = 0
    sampling_ppm: int = ALL_ROWS

    def encode(self) -> bytes:
        """Return the canonical JSON bytes that members hash and compare (`ask/1`).

        Keys are sorted, numbers are integers, an array stands as dtype, shape and the SHA-256 of its
        little-endian bytes in C order.
        """
        arrays = {name: _array_digest(name, value) for name, value in self.arrays.items()}
        private = {"noise": int(self.noise), "row_l2_squared": int(self.row_l2_squared)}
        document = {
            "arrays": arrays,
            "bound": int(self.bound),
            "format": "ask/1",
            "length": int(self.length),
            "name": self.name,
            "parameters": {name: _plain(name, value) for name, value in self.parameters.items()},
            "part": self.part,
            "recipe": self.recipe,
            "row_l1": int(self.row_l1),
            "row_linf": int(self.row_linf),
            "rows": self.rows,
            "word_bits": int(self.word_bits),
            # An exact request keeps the bytes that it had before there was noise.
            **({**private, "sampling_ppm": int(self.sampling_ppm)} if self.noise else {}),
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


Rounds = Generator[Ask, np.ndarray, Any]


def run_plain(rounds: Rounds, contribute: Callable[[Ask], np.ndarray]) -> Any:
    """Run a recipe's generator in this process on plain sums and return what it learned.

    contribute: maps an `Ask` to its sum, (ask.length,) int64; for pooled training, one table's contribution.
    """
    try:
        ask = next(rounds)
        while True:
            ask = rounds.send(contribute(ask))
    except StopIteration as stop:
        return stop.value


def _array_digest(name: str, value: np.ndarray) -> list[Any]:
    kinds = {"float64": "<f8", "int64": "<i8", "float32": "<f4", "uint8": "|u1"}
    kind = kinds.get(value.dtype.name)
    if kind is None:
        raise MisuseError("ask-dtype", f"ask array {name!r} is {value.dtype}, expected one of {sorted(kinds)}")
    raw = np.ascontiguousarray(value, dtype=kind).tobytes()
    return [value.dtype.name, [int(size) for size in value.shape], hashlib.sha256(raw).hexdigest()]


def _plain(name: str, value: ParameterValue) -> Any:
    if isinstance(value, tuple):
        return [_plain(name, item) for item in value]
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise MisuseError("ask-parameter", f"ask parameter {name!r} is {type(value).__name__}, expected int or str")
    return value
