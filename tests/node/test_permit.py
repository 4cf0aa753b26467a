"""The bank's veto: each rule alone says no, at its very edge, and the stricter of permit and manifest holds."""

from dataclasses import replace

import pytest

from node.config import PermitSettings
from node.permit import Offer, Permit, Spent, offer_of
from privacy.manifest import Manifest, Seat

PERMIT = Permit(PermitSettings(recipes=("scorecard",), min_rows=200, min_bads=20, max_rows=5000, exact_jobs=2))
OFFER = Offer(
    purpose="credit-risk-model",
    recipe="scorecard",
    cohort=4,
    max_rows=10_000,
    min_rows=100,
    min_bads=10,
    exact=True,
    rows=200,
    bads=20,
)


def test_joins_at_the_edge_of_every_rule() -> None:
    assert PERMIT.decide(OFFER, Spent(exact_jobs=1)) is None
    assert PERMIT.decide(replace(OFFER, rows=5000)) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"purpose": "marketing"}, "permit-purpose"),
        ({"recipe": "towers"}, "permit-recipe"),
        ({"cohort": 3}, "permit-cohort"),
        ({"rows": 199}, "permit-rows"),
        ({"bads": 19}, "permit-bads"),
        ({"rows": 5001}, "permit-max-rows"),
        ({"min_rows": 201}, "permit-rows"),
        ({"min_bads": 21}, "permit-bads"),
        ({"max_rows": 199}, "permit-max-rows"),
    ],
)
def test_refuses_one_step_beyond(changes: dict[str, object], code: str) -> None:
    refusal = PERMIT.decide(replace(OFFER, **changes))  # type: ignore[arg-type]

    assert refusal is not None
    assert refusal.code == code


def test_a_refusal_never_tells_this_banks_counts() -> None:
    for rows, bads in ((137, 31), (2000, 13), (7321, 31)):
        refusal = PERMIT.decide(replace(OFFER, rows=rows, bads=bads))
        assert refusal is not None
        assert str(rows) not in refusal.message
        assert str(bads) not in refusal.message


def test_jobs_without_noise_are_capped() -> None:
    refusal = PERMIT.decide(OFFER, Spent(exact_jobs=2))

    assert refusal is not None
    assert refusal.code == "permit-exact-jobs"
    assert PERMIT.decide(replace(OFFER, exact=False), Spent(exact_jobs=2)) is None


def test_trees_without_noise_need_a_word_of_their_own() -> None:
    offer, tree_permit = replace(OFFER, recipe="trees"), PermitSettings(recipes=("trees",))
    refusal = Permit(tree_permit).decide(offer)

    assert refusal is not None and refusal.code == "permit-exact-trees"
    assert Permit(tree_permit).decide(replace(offer, exact=False)) is None
    assert Permit(tree_permit.model_copy(update={"exact_trees": True})).decide(offer) is None


def test_exclusion_is_off_by_default_and_happens_once_when_on() -> None:
    on = Permit(PermitSettings(allow_exclusion=1))
    refused = (PERMIT.decide_exclusion(Spent()), on.decide_exclusion(Spent(exclusions=1)))

    assert on.decide_exclusion(Spent()) is None
    assert [refusal and refusal.code for refusal in refused] == ["permit-exclusion", "permit-exclusion"]


def test_an_offer_takes_the_manifests_own_cohort() -> None:
    manifest = Manifest(
        job="job-0001-00000000",
        consortium="demo",
        purpose="credit-risk-model",
        recipe="scorecard",
        recipe_version=1,
        parameters={},
        code_sha256="00" * 32,
        dictionary_sha256="00" * 32,
        seats=tuple(Seat(name, name.encode() * 32) for name in "abcdefg"),
        privacy="exact",
        max_rounds=100,
        max_rows=1000,
        min_rows=150,
        min_bads=15,
        lost_after_s=5,
        rejoin_s=2,
        round_deadline_s=60,
        seed=0,
        holdout_ppm=300_000,
    )

    offer = offer_of(manifest, rows=400, bads=40)

    assert offer == Offer("credit-risk-model", "scorecard", 5, 1000, 150, 15, True, 400, 40)
