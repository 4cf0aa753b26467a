"""Any t shares rebuild the secret; any t - 1 fit every secret alike."""

from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import PeerError
from privacy.shamir import PRIME, combine, lagrange_at_zero, split
from tests.privacy.table import seeded_bytes

secrets = st.binary(min_size=31, max_size=31)


@given(secrets, st.integers(4, 14), st.integers(0, 2**32), st.data())
def test_any_t_shares_rebuild(secret: bytes, n: int, seed: int, data: st.DataObject) -> None:
    t = data.draw(st.integers(2, n))
    shares = split(secret, t, n, seeded_bytes(seed))
    holders = data.draw(st.permutations(range(n)))[: data.draw(st.integers(t, n))]
    assert combine([shares[at] for at in holders], lagrange_at_zero([at + 1 for at in holders])) == secret


@given(secrets, secrets, st.integers(4, 14), st.integers(0, 2**32), st.data())
def test_fewer_than_t_shares_fit_any_secret(
    secret: bytes, other: bytes, n: int, seed: int, data: st.DataObject
) -> None:
    t = data.draw(st.integers(2, n))
    shares = split(secret, t, n, seeded_bytes(seed))
    points = [at + 1 for at in data.draw(st.permutations(range(n)))[:t]]
    weights = lagrange_at_zero(points)
    known = sum(int.from_bytes(shares[x - 1], "big") * w for x, w in zip(points[:-1], weights[:-1], strict=True))
    # The share that the t - 1 lack decides the secret alone: for every other secret there is one.
    missing = (int.from_bytes(other, "big") - known) * pow(weights[-1], -1, PRIME) % PRIME
    completed = [shares[x - 1] for x in points[:-1]] + [missing.to_bytes(32, "big")]
    assert combine(completed, weights) == other
    if t > 2:
        try:
            assert combine([shares[x - 1] for x in points[:-1]], lagrange_at_zero(points[:-1])) != secret
        except PeerError as error:
            assert error.code == "share-inconsistent"


@given(st.lists(st.binary(max_size=33), min_size=1, max_size=6))
def test_any_bytes_as_shares_end_well(shares: list[bytes]) -> None:
    try:
        assert len(combine(shares, lagrange_at_zero(list(range(1, len(shares) + 1))))) == 31
    except PeerError as error:
        assert error.code in {"share-malformed", "share-inconsistent"}
