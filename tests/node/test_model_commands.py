"""A bank's commands about models: what there is to sign is listed, and a person's mistake is one line."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from node.config import NodeConfig
from node.model_commands import _lines, request_signature
from node.model_view import find_model, models_document
from privacy.errors import InputError
from tests.node.signoff_bank import NAMES, SignoffBank, ballot_of, proposal_of
from tests.privacy.table import refused

PROPOSAL = proposal_of()


@pytest.fixture
def bank(tmp_path: Path) -> SignoffBank:
    return SignoffBank(tmp_path)


def settings_of(bank: SignoffBank) -> NodeConfig:
    member, state = SimpleNamespace(id=bank.member), SimpleNamespace(dir=bank.state)
    return cast(NodeConfig, SimpleNamespace(member=member, state=state))


def decide(bank: SignoffBank, *decision: str, model: str = PROPOSAL.model, role: str = "champion") -> None:
    verdict, reason, who = (*decision, "", "", "")[:3] if len(decision) < 3 else decision
    request_signature(settings_of(bank), model, role, (verdict, reason, who or "risk-1"), 2)


def states(bank: SignoffBank) -> list[str]:
    return [each["state"] for entry in models_document(bank.state)["models"] for each in entry["proposals"]]


def test_a_decision_goes_from_open_to_asked_to_signed_to_promoted(bank: SignoffBank) -> None:
    bank.propose(PROPOSAL)
    assert states(bank) == ["open"]
    decide(bank, "approve")
    assert states(bank) == ["asked"]
    bank.wish(PROPOSAL)
    assert states(bank) == ["signed"]
    bank.promote(PROPOSAL, [ballot_of(name, PROPOSAL) for name in NAMES[:5]])
    document = models_document(bank.state)
    assert states(bank) == ["promoted"] and document["champion"] == PROPOSAL.model
    entry = find_model(document, "champion")
    assert entry["aliases"] == ["champion"] and entry["proposals"][0]["approved"] == NAMES[:5]
    assert (entry["proposals"][0]["decision"], entry["proposals"][0]["who"]) == ("approve", "risk-1")


def test_a_trained_model_is_listed_with_its_lineage_before_anybody_proposes_it(bank: SignoffBank) -> None:
    (entry,) = models_document(bank.state)["models"]
    assert (entry["sha256"], entry["here"], entry["proposals"]) == (PROPOSAL.model, True, [])
    assert entry["lineage"]["manifest_sha256"] == PROPOSAL.manifest_sha256
    assert entry["metrics"] == {"auc": 0.75, "rows": 1000}
    assert "AUC network 0.7500" in "\n".join(_lines(entry))
    json.dumps(models_document(bank.state), allow_nan=False)


def test_a_model_of_a_job_that_the_bank_was_not_in_is_listed_as_such(tmp_path: Path) -> None:
    bank = SignoffBank(tmp_path, joined=False)
    bank.promote(PROPOSAL, [ballot_of(name, PROPOSAL) for name in NAMES[:5]])
    entry = find_model(models_document(bank.state), PROPOSAL.model[:8])
    assert (entry["here"], entry["lineage"], entry["aliases"]) == (False, None, ["champion"])
    assert "was not in" in "\n".join(_lines(entry)) and "not here" in "\n".join(_lines(entry))


@pytest.mark.parametrize(("decision", "code"), [
    (("reject", "", "x"), "reject-reason"), (("reject", "because", "x"), "reject-reason"),
    (("approve", "figures", "x"), "approve-reason"), (("approve", "", "a\nb"), "who-format"),
    (("approve", "", "x" * 65), "who-format"),
])  # fmt: skip
def test_a_wrong_word_leaves_no_request(bank: SignoffBank, decision: tuple[str, str, str], code: str) -> None:
    bank.propose(PROPOSAL)
    with refused(code, InputError):
        decide(bank, *decision)
    assert bank.store.requests() == []


def test_only_what_is_open_can_be_signed(bank: SignoffBank) -> None:
    with refused("proposal-absent", InputError):
        decide(bank, "approve")
    bank.propose(PROPOSAL)
    with refused("proposal-absent", InputError):
        decide(bank, "approve", role="challenger")
    for model in ("0" * 64, PROPOSAL.model[:7], "champion", ""):
        with refused("model-unknown", InputError):
            decide(bank, "approve", model=model)
    decide(bank, "reject", "fairness", "risk-2")
    with refused("proposal-absent", InputError):
        decide(bank, "approve")
    bank.store.close(PROPOSAL.sha256(), "withdrawn")
    assert states(bank) == ["withdrawn"]


def test_a_bank_without_a_vote_is_told_so(tmp_path: Path) -> None:
    bank = SignoffBank(tmp_path, joined=False, pinned=[*NAMES, "late"], member="late")
    assert bank.propose(PROPOSAL) == ""
    with refused("ballot-stranger", InputError):
        decide(bank, "approve")
