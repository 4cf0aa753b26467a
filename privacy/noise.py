"""A member's share of a sum's noise: exact Skellam draws from a cryptographic stream.

It decides no variance and reads no randomness: a key comes in, one key for one share. Theory (Agarwal, Kairouz and Liu,
NeurIPS 2021): a Skellam variable is the difference of two Poisson variables of equal mean; sums of independent ones are
Skellam again and their variances add. So members add noise apart, and whatever subset of honest members a sum opens
over, the noise in it is exactly the distribution that the accountant prices.

The draw inverts the cumulative distribution with 128 uniform bits an entry. The table is computed with integers from
the recurrence I(k-1) = I(k+1) + (2k/variance) I(k) of the Bessel functions behind the Skellam masses (run downwards,
where it is stable; Miller's algorithm) and scaled to sum to one. It ends at `noise_bound`, beyond which less than
2**-128 of the mass lies; with the rounding of the table, a share of 2**26 entries differs from true Skellam noise by
less than 2**-80 in total variation: that is the share of delta that this sampler takes.
"""

from functools import lru_cache
from math import isqrt

import numpy as np

from privacy.digest import number
from privacy.errors import MisuseError
from privacy.keys import expand
from privacy.mask import keystream
from privacy.roster import fewest_honest

__all__ = ["MAX_VARIANCE", "noise_bound", "share_variance", "skellam"]

MAX_VARIANCE = 2**30
"""Largest variance of a share, in grid units squared: the table holds 28 entries a standard deviation."""

_PIECE = 2**18
_GUARD_BITS = 192
_LOW_WORD = 2**64 - 1


def share_variance(variance: int, members: int) -> int:
    """Return the variance of each member's share so that honest members alone reach `variance`.

    variance: in the sum, grid units squared, 0 for none. members: seats of the job. Any cohort that opens holds u_min
    members or more, at most c of them collude and may leave their noise out, so the rest must reach it.
    """
    share = -(-variance // fewest_honest(members))
    if variance < 0 or share > MAX_VARIANCE:
        raise MisuseError("noise-variance", f"a share of variance {share}, expected 0 to {MAX_VARIANCE}: coarser grid")
    return share


def noise_bound(variance: int) -> int:
    """Return the largest absolute value that a share of this variance can take, in grid units."""
    return 14 * isqrt(variance) + 64 if variance else 0


def skellam(key: bytes, length: int, variance: int) -> np.ndarray:
    """Return independent Skellam draws of mean 0, (length,) int64.

    key: 32 secret random bytes that are used for nothing else. variance: 0 to 2**30; 0 gives zeros.
    """
    if len(key) != 32 or not 0 <= variance <= MAX_VARIANCE:
        raise MisuseError("noise-draw", f"a key of {len(key)} bytes and variance {variance} make no noise")
    noise = np.zeros(length, dtype=np.int64)
    if variance:
        for piece, start in enumerate(range(0, length, _PIECE)):
            part = noise[start : start + _PIECE]
            uniform = keystream(expand(key, "noise", number(piece)), 2 * len(part), 64)
            part[:] = _invert(uniform[0::2], uniform[1::2], variance)
    return noise


def _invert(high: np.ndarray, low: np.ndarray, variance: int) -> np.ndarray:
    """Return how many thresholds are not above each 128-bit number, less the bound, (n,) int64."""
    upper, lower = _table(variance)
    place = np.searchsorted(upper, high, side="right")
    # Only where the first 64 bits meet a threshold's do the others decide: a few in 2**45 draws.
    for row in np.flatnonzero(upper[np.maximum(place, 1) - 1] == high):
        first = int(np.searchsorted(upper, high[row], side="left"))
        place[row] = first + int(np.count_nonzero(lower[first : place[row]] <= low[row]))
    return place.astype(np.int64) - noise_bound(variance)


@lru_cache(maxsize=8)
def _table(variance: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the thresholds floor(2**128 P(X <= k)) for k from -bound to bound - 1, as high and low words."""
    masses = _masses(variance)
    total = masses[0] + 2 * sum(masses[1:])
    upper, lower, below = [], [], 0
    for mass in (*reversed(masses[1:]), *masses[:-1]):
        below += mass
        threshold = (below << 128) // total
        upper.append(threshold >> 64)
        lower.append(threshold & _LOW_WORD)
    return np.array(upper, dtype=np.uint64), np.array(lower, dtype=np.uint64)


def _masses(variance: int) -> list[int]:
    """Return the masses at 0, 1, ... bound, up to one common factor."""
    bound = noise_bound(variance)
    masses = [0] * (bound + 2)
    masses[bound] = 1 << _GUARD_BITS
    for place in range(bound, 0, -1):
        masses[place - 1] = masses[place + 1] + 2 * place * masses[place] // variance
    return masses[: bound + 1]
