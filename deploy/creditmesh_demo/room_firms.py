"""The firms behind the synthetic room's applications: hidden traits, what public sources see of them, and who they are.

It decides no application and hides no cell; `creditmesh_demo.room` does. Theory: a firm has hidden traits (overall
quality; operating, credit, behaviour and scenario strength; leverage, size, age), and every observed field is a noisy
view of them. About one firm in ten borrows at a second institution in the same month. It is one firm, so its traits,
its luck and all that outsiders know of it are the same at both, while what each institution sees for itself (accounts,
card takings, a visit) is drawn anew.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from creditmesh_demo.room_banks import Institution
from creditmesh_demo.room_draw import DRAWS, Draw

__all__ = ["MIXING", "MONTHS", "TRAITS", "Firms", "draw_firms", "observe", "share_firms"]

MONTHS = 24
TRAITS = ("quality", "operating", "credit", "behaviour", "scenario", "leverage", "size", "age")
SHARED_FIRMS = 0.09
SHARED_OWNERS = 0.02
"""Of an institution's firms: those that borrow at a second one too, and others whose owner does with another firm."""

# By level of the field `industry`: the mean of its business cycle.
_CYCLE = np.array([-0.1, 0.1, 0.2, -0.9, 0.1, -0.2, 0.5, -0.5, 0.0, 0.4])
_ID_BYTES = 6


def _mixing() -> np.ndarray:
    """Return how eight independent causes make the traits, (8, 8) float64, rows of length 1."""
    mixing = np.diag([1.0, *[np.sqrt(0.75)] * 4, np.sqrt(0.91), np.sqrt(0.96), np.sqrt(0.91)])
    mixing[1:7, 0] = (0.5, 0.5, 0.5, 0.5, -0.3, 0.2)
    mixing[7] += 0.3 * mixing[6]
    return np.asarray(mixing)


MIXING = _mixing()


@dataclass(frozen=True, eq=False, slots=True)
class Firms:
    """Hold the firms behind one institution's applications, arrays of (n_firms,).

    traits: by name, float64. month: int64, 0 = the first. industry: int64, level. cycle: float64, of its industry in
    that month. unseen: float64, risk that no field shows. luck: float64, uniform. seen: by field, float64, what sources
    outside the institution know. firm, owner: int64, numbers that are one's own.
    """

    traits: dict[str, np.ndarray]
    month: np.ndarray
    industry: np.ndarray
    cycle: np.ndarray
    unseen: np.ndarray
    luck: np.ndarray
    seen: dict[str, np.ndarray]
    firm: np.ndarray
    owner: np.ndarray

    def arrays(self) -> list[np.ndarray]:
        """Return every array that makes a firm what it is, but who owns it."""
        single = [self.month, self.industry, self.cycle, self.unseen, self.luck, self.firm]
        return [*self.traits.values(), *single, *self.seen.values()]


def draw_firms(
    rng: np.random.Generator, institution: Institution, rows: int, bounds: dict[str, list[float]], first: int
) -> Firms:
    """Return so many firms that apply at an institution.

    bounds: of every field that outsiders know. first: the number of the first firm, which no other institution gives.
    """
    traits = _traits(rng, institution, rows)
    month = rng.integers(0, MONTHS, rows)
    weights = np.array(institution.industries, dtype=np.float64)
    industry = rng.choice(weights.size, size=rows, p=weights / weights.sum())
    wave = 0.6 * np.sin(2 * np.pi * month / MONTHS)
    cycle = _CYCLE[industry] + wave + 0.15 * rng.standard_normal(rows)
    seen = {name: observe(rng, DRAWS[name], limits, traits) for name, limits in bounds.items()}
    unseen, luck = 0.8 * rng.standard_normal(rows), rng.random(rows)
    number = np.arange(first, first + rows, dtype=np.int64)
    return Firms(traits, month, industry, cycle, unseen, luck, seen, number, number.copy())


def observe(rng: np.random.Generator, how: Draw, bounds: list[float], traits: dict[str, np.ndarray]) -> np.ndarray:
    """Return noisy views of the traits of some firms, (n_firms,) float64, as `Draw` says.

    Where an institution shifts no trait, the signal is standard normal.
    """
    rows = traits["quality"].size
    explained = np.array([how.loadings.get(name, 0.0) for name in TRAITS]) @ MIXING
    signal = np.sqrt(1.0 - explained @ explained) * rng.standard_normal(rows)
    for name, weight in how.loadings.items():
        signal += weight * traits[name]
    if how.shape == "normal":
        value = how.centre + how.spread * signal
    elif how.shape == "lognormal":
        value = how.centre * np.exp(how.spread * signal)
    elif how.shape == "share":
        value = 1.0 / (1.0 + np.exp(-(np.log(how.centre / (1.0 - how.centre)) + how.spread * signal)))
    elif how.shape == "count":
        rate = how.centre * np.exp(how.spread * signal - 0.5 * how.spread**2)
        value = rng.poisson(np.minimum(rate, bounds[1])).astype(np.float64)
    else:
        late = signal > np.quantile(signal, 1.0 - how.spread)
        value = np.where(late, how.centre * np.exp(0.9 * rng.standard_normal(rows)), 0.0)
    return np.round(np.clip(value, bounds[0], bounds[1]), how.decimals)


def share_firms(rng: np.random.Generator, books: Sequence[Firms], seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Let some firms of every institution be firms of another too; return the hashes of firms and of owners, by book.

    The hashes are (n_firms,) int64 below 2**48 and stand for an identity number; the same number, the same hash.
    """
    places = [rng.permutation(len(book.firm)) for book in books]
    counts = [round(SHARED_FIRMS * len(book.firm)) for book in books]
    for one, other, row, twin in _pairs(places, counts):
        for source, copy in zip(books[one].arrays(), books[other].arrays(), strict=True):
            copy[twin] = source[row]
        books[other].owner[twin] = books[one].owner[row]
    others = [place[count:] for place, count in zip(places, counts, strict=True)]
    owned = [round(SHARED_OWNERS * len(book.firm)) for book in books]
    for one, other, row, twin in _pairs(others, owned):
        books[other].owner[twin] = books[one].owner[row]
    return [(_hashes(f"firm {seed}", book.firm), _hashes(f"owner {seed}", book.owner)) for book in books]


def _pairs(places: Sequence[np.ndarray], counts: Sequence[int]) -> list[tuple[int, int, int, int]]:
    """Return (institution, another, row, row there): every institution's first `count` places, each in one pair.

    The places stand in one line, institution by institution, and the first half is paired with the second. A pair
    within one institution, which there is only where it has more than half of all, is left out.
    """
    line = [(bank, int(row)) for bank, count in enumerate(counts) for row in places[bank][:count]]
    half = len(line) // 2
    pairs = zip(line[:half], line[half:], strict=False)
    return [(one, other, row, twin) for (one, row), (other, twin) in pairs if one != other]


def _hashes(what: str, numbers: np.ndarray) -> np.ndarray:
    digests = (hashlib.sha256(f"synthetic {what} {number}".encode()).digest() for number in numbers.tolist())
    return np.array([int.from_bytes(digest[:_ID_BYTES], "big") for digest in digests], dtype=np.int64)


def _traits(rng: np.random.Generator, institution: Institution, rows: int) -> dict[str, np.ndarray]:
    causes = rng.standard_normal((len(TRAITS), rows))
    shift = np.array([institution.traits.get(name, 0.0) for name in TRAITS])
    return dict(zip(TRAITS, MIXING @ causes + shift[:, None], strict=True))
