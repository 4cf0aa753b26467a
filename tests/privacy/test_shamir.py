"""Shares: any t rebuild the secret, fewer fit every secret alike, and what is malformed is refused."""

import itertools

import pytest

from privacy.errors import MisuseError, PeerError
from privacy.shamir import PRIME, SECRET_BYTES, combine, lagrange_at_zero, split
from tests.privacy.table import refused, seeded_bytes

SECRET = bytes(range(1, 32))


def rebuild(shares: list[bytes], holders: tuple[int, ...]) -> bytes:
    return combine([shares[at] for at in holders], lagrange_at_zero([at + 1 for at in holders]))


def test_any_t_shares_rebuild_and_fewer_do_not() -> None:
    shares = split(SECRET, 4, 6, seeded_bytes(1))
    for holders in itertools.combinations(range(6), 4):
        assert rebuild(shares, holders) == SECRET
    for too_few in itertools.combinations(range(6), 3):
        try:
            assert rebuild(shares, too_few) != SECRET
        except PeerError as error:
            assert error.code == "share-inconsistent"


def test_fewer_than_t_shares_fit_every_secret() -> None:
    shares = split(SECRET, 4, 6, seeded_bytes(1))
    other = bytes(31)
    # Three shares and any secret lie on one polynomial of degree three: there is a fourth share that completes it.
    points = [1, 2, 3, 4]
    weights = lagrange_at_zero(points)
    known = sum(int.from_bytes(shares[at], "big") * weights[at] for at in range(3))
    fourth = (int.from_bytes(other, "big") - known) * pow(weights[3], -1, PRIME) % PRIME
    assert combine([*shares[:3], fourth.to_bytes(32, "big")], weights) == other


def test_coefficients_are_fresh() -> None:
    draw = seeded_bytes(2)
    assert split(SECRET, 3, 4, draw) != split(SECRET, 3, 4, draw)


@pytest.mark.parametrize(
    ("secret", "t", "n"), [(b"short", 3, 4), (SECRET + b"x", 3, 4), (SECRET, 1, 4), (SECRET, 5, 4), (SECRET, 3, 257)]
)
def test_arguments_that_make_no_sharing_are_refused(secret: bytes, t: int, n: int) -> None:
    with refused("shamir-arguments", MisuseError):
        split(secret, t, n, seeded_bytes(1))


@pytest.mark.parametrize("points", [[1, 1], [0, 1], [1, 257]])
def test_points_are_distinct_and_never_zero(points: list[int]) -> None:
    with refused("shamir-points", MisuseError):
        lagrange_at_zero(points)


def test_malformed_shares_are_refused() -> None:
    shares = split(SECRET, 2, 4, seeded_bytes(1))
    weights = lagrange_at_zero([1, 2])
    for wrong in (b"", shares[1][:-1], PRIME.to_bytes(32, "big"), b"\xff" * 32):
        with refused("share-malformed", PeerError):
            combine([shares[0], wrong], weights)
    too_large = (2 ** (8 * SECRET_BYTES)).to_bytes(32, "big")
    with refused("share-inconsistent", PeerError):
        combine([too_large, too_large], [1, 0])
    with pytest.raises(ValueError, match="zip"):
        combine(shares[:1], weights)
