"""Shamir's secret sharing of 31-byte secrets over the prime 2**255 - 19.

It draws no randomness: coefficients come in. Theory (Shamir, CACM 1979): a random polynomial of degree t - 1 whose
constant term is the secret; any t of its points rebuild the secret, t - 1 say nothing. Point x of a member is its
index in the roster plus one, so 0 is never a point.
"""

from collections.abc import Callable, Sequence

from privacy.errors import MisuseError, PeerError

__all__ = ["SECRET_BYTES", "SHARE_BYTES", "combine", "lagrange_at_zero", "split"]

PRIME = 2**255 - 19
SECRET_BYTES = 31
SHARE_BYTES = 32
_COEFFICIENT_BYTES = 48  # 384 bits reduced modulo a 255-bit prime: bias below 2**-128


def split(secret: bytes, threshold: int, members: int, random_bytes: Callable[[int], bytes]) -> list[bytes]:
    """Return `members` shares of 32 bytes each, any `threshold` of which rebuild the 31-byte secret."""
    if len(secret) != SECRET_BYTES or not 2 <= threshold <= members <= 256:
        raise MisuseError("shamir-arguments", f"cannot share {len(secret)} bytes {threshold} of {members}")
    noise = random_bytes(_COEFFICIENT_BYTES * (threshold - 1))
    coefficients = [
        int.from_bytes(noise[at : at + _COEFFICIENT_BYTES], "big") % PRIME
        for at in range(0, len(noise), _COEFFICIENT_BYTES)
    ]
    constant = int.from_bytes(secret, "big")
    shares = []
    for x in range(1, members + 1):
        value = 0
        for coefficient in coefficients:
            value = (value + coefficient) * x % PRIME
        shares.append(((value + constant) % PRIME).to_bytes(SHARE_BYTES, "big"))
    return shares


def lagrange_at_zero(points: Sequence[int]) -> list[int]:
    """Return the weights that map values at distinct points 1..256 to the polynomial's value at zero."""
    if len(set(points)) != len(points) or not all(1 <= x <= 256 for x in points):
        raise MisuseError("shamir-points", f"points must be distinct and within 1 to 256, found {sorted(points)}")
    weights = []
    for x in points:
        numerator = denominator = 1
        for other in points:
            if other != x:
                numerator = numerator * other % PRIME
                denominator = denominator * (other - x) % PRIME
        weights.append(numerator * pow(denominator, -1, PRIME) % PRIME)
    return weights


def combine(shares: Sequence[bytes], weights: Sequence[int]) -> bytes:
    """Return the 31-byte secret from shares and the matching weights of `lagrange_at_zero`.

    Shares that do not belong to one 31-byte secret raise `PeerError`.
    """
    total = 0
    for share, weight in zip(shares, weights, strict=True):
        value = int.from_bytes(share, "big")
        if len(share) != SHARE_BYTES or value >= PRIME:
            raise PeerError("share-malformed", f"a share is not a {SHARE_BYTES}-byte field element")
        total = (total + value * weight) % PRIME
    if total >> (8 * SECRET_BYTES):
        raise PeerError("share-inconsistent", "the shares do not rebuild a 31-byte secret")
    return total.to_bytes(SECRET_BYTES, "big")
