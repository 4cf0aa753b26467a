"""The lending policy: the sample parses, and every wrong key is named."""

import copy
import tomllib
from pathlib import Path
from typing import Any

import pytest

from risk.dictionary import parse_dictionary
from risk.errors import InputError
from risk.lending_policy import check_policy, parse_policy
from risk.portrait import build_reference, reference_from_document
from tests.risk.lending import DOCUMENT, policy, reference
from tests.risk.rooms import room_tables
from tests.risk.scorers import DICTIONARY

ROOT = Path(__file__).resolve().parents[2]


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the policy with one key set, or removed where the value is `...`."""
    document: Any = copy.deepcopy(DOCUMENT)
    place: Any = document
    *steps, last = path.split(".")
    for step in steps:
        place = place[int(step)] if step.isdigit() else place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return document


def test_the_sample_fits_the_synthetic_room() -> None:
    sample = tomllib.loads((ROOT / "deploy/samples/lending-policy.toml").read_text("utf-8"))
    room = tomllib.loads((ROOT / "deploy/creditmesh_demo/room_schema.toml").read_text("utf-8"))
    parsed = parse_policy(sample, "lending-policy.toml")
    check_policy(parsed, parse_dictionary(room, "schema.toml"))
    assert parsed.name == "sample-bank" and len(parsed.soft) == 3


def test_the_digest_tells_policies_apart() -> None:
    assert policy().digest() == policy().digest() != policy(cutoff={"near": 3}).digest()


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("surprise", 1, "unknown key surprise"),
        ("cutoff.surprise", 1, "unknown key cutoff.surprise"),
        ("cutoff.near", ..., "key cutoff.near is missing"),
        ("cutoff", ..., "key cutoff is missing"),
        ("cutoff", 3, "must be a table"),
        ("cutoff.decline", 561, "at most 'approve'"),
        ("cutoff.approve", True, "whole number"),
        ("cutoff.approve", 560.0, "whole number"),
        ("currency", "cny", "three letters"),
        ("price.lgd", 1.1, "price.lgd must be numbers from 0 to 1"),
        ("price.lgd", float("nan"), "price.lgd"),
        ("price.funding", 0.00001, "hundredths of a percent"),
        ("price.legal_cap", 0.01, "at least 'funding'"),
        ("price.margin", [0.01] * 9, "a list of 10 numbers"),
        ("limit.grade_factors", [0.5] * 9 + [0.6], "do not rise"),
        ("limit.round_to", 0, "whole number from 1"),
        ("grades.upper_pd", [0.05] * 9, "rising PDs"),
        ("grades.names", ["A"] * 10, "different texts"),
        ("evidence.need_as_of", "yes", "true or false"),
        ("soft.bound_grades", 3, "from 0 to 2"),
        ("soft.code.0.effects", [1.0], "a list of 2 numbers"),
        ("portrait.vitality", [], "at least 1 texts"),
        ("reasons.text.0.text", "", "a text of 1"),
        ("reasons.text", [DOCUMENT["reasons"]["text"][0]] * 2, "same name twice"),
        ("review.channel", ..., "key review.channel is missing"),
    ],
)
def test_a_wrong_key_is_named(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_policy(changed(path, value), "policy.toml")
    assert words in caught.value.message and caught.value.message.startswith("policy.toml: ")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("limit.revenue_field", "turnip", "'turnip' is not in the data dictionary"),
        ("limit.revenue_field", "trade", "must be a number"),
        ("portrait.vitality", ["share"], "no direction of risk"),
        ("reasons.actionable", ["luck"], "'luck' is not in the data dictionary"),
    ],
)
def test_a_policy_for_another_dictionary_is_refused(path: str, value: Any, words: str) -> None:
    with pytest.raises(InputError, match="lending policy: ") as caught:
        check_policy(parse_policy(changed(path, value), "policy.toml"), DICTIONARY)
    assert words in caught.value.message


def test_a_reference_survives_its_file_and_no_other_form_is_read() -> None:
    document = reference().to_document()
    assert reference_from_document(document) == reference()
    for broken in (
        {**document, "rows": "many"},
        {**document, "means": {}},
        {},
        {**document, "fields": {"turnover": [2, 1]}},
    ):
        with pytest.raises(InputError, match="reference file"):
            reference_from_document(broken)


def test_a_reference_needs_rows_that_know_the_fields() -> None:
    table = room_tables(DICTIONARY, (300, 300), 6)[1]  # its turnover is missing throughout
    with pytest.raises(InputError, match=r"portrait\.vitality: its fields are empty"):
        build_reference(table, DICTIONARY, policy().portrait)
    wider = policy(portrait={"vitality": ["turnover", "balance"]})
    made = build_reference(table, DICTIONARY, wider.portrait)
    assert made.asked["vitality"] == ("turnover", "balance") and made.axes["vitality"] == ("balance",)
