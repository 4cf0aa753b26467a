"""What a job promises: found by search, checked by every bank, and nothing vaguer than decimals."""

from dataclasses import dataclass, replace

import pytest

from privacy.accountant import epsilon_of
from privacy.errors import PeerError, RefusalError
from privacy.guarantee import Guarantee, calibrated, check_plan, guarantee_of, planned_events
from privacy.manifest import decode_manifest
from tests.privacy.table import manifest_of, names_of

GOOD = Guarantee("3", "0.000001", 4_000_000)


@dataclass(frozen=True)
class Plan:
    rows: str
    count: int = 1
    row_l1: int = 300
    row_l2_squared: int = 90_000
    sampling_ppm: int = 1_000_000

    def variance(self, multiplier: int) -> int:
        return -(-multiplier * multiplier * self.row_l2_squared // 10**12)


PLAN = (Plan("train", 3), Plan("holdout"))


def test_the_search_keeps_the_promise_and_wastes_nothing() -> None:
    found = calibrated(PLAN, "3", "0.000001")
    assert epsilon_of(check_plan(PLAN, found), "0.000001") <= 3
    less = replace(found, multiplier=found.multiplier - 1)
    assert epsilon_of(planned_events(PLAN, less.multiplier), "0.000001") > 3
    with pytest.raises(RefusalError) as caught:
        check_plan(PLAN, less)
    assert caught.value.code == "guarantee-broken"


@pytest.mark.parametrize(
    "change",
    [{"epsilon": "0"}, {"epsilon": "101"}, {"epsilon": "3.0"}, {"epsilon": "03"}, {"epsilon": "1e1"}, {"epsilon": 3},
     {"delta": "0"}, {"delta": "0.01"}, {"delta": "inf"}, {"multiplier": 0}, {"multiplier": True},
     {"multiplier": 10**9 + 1}, {"accountant": "moments"}],
)  # fmt: skip
def test_a_promise_of_another_form(change: dict[str, object]) -> None:
    with pytest.raises(PeerError):
        Guarantee(**{**GOOD.document(), **change})


def test_a_manifest_carries_it_byte_for_byte() -> None:
    exact = manifest_of(names_of(5))
    noisy = replace(exact, privacy="dp", dp=GOOD)
    assert decode_manifest(noisy.encode()) == noisy
    assert (noisy.multiplier, exact.multiplier, exact.statement) == (4_000_000, 0, None)
    assert noisy.statement is not None and noisy.statement["epsilon"] == "3"
    assert noisy.sha256() != replace(noisy, dp=replace(GOOD, multiplier=4_000_001)).sha256()
    assert b'"dp"' not in exact.encode()


@pytest.mark.parametrize("wrong", [{}, {"epsilon": "3"}, {**GOOD.document(), "noise": "little"}, [], "3"])
def test_a_manifest_with_another_promise(wrong: object) -> None:
    with pytest.raises(PeerError):
        guarantee_of(wrong)  # type: ignore[arg-type]


def test_noise_and_the_word_for_it_go_together() -> None:
    exact = manifest_of(names_of(5))
    for wrong in ({"privacy": "dp"}, {"dp": GOOD}, {"privacy": "none"}):
        with pytest.raises(PeerError) as caught:
            replace(exact, **wrong)
        assert caught.value.code == "manifest-privacy"
