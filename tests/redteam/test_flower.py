"""What Flower's SecAgg+ answers is asked anew, so that what we say of it is true of the version that is installed."""

import pytest

from tests.redteam import suite
from tests.redteam.flower import ask_all

pytest.importorskip("flwr.client.mod.secure_aggregation.secaggplus_mod", reason="Flower is an extra; it is not here")


def test_flower_answers_what_the_suite_refuses() -> None:
    _version, answers = ask_all()
    said = {answer.number: (answer.refused, answer.answer) for answer in answers}

    assert said.keys() <= {case.number for case in suite.ATTACKS}
    assert {number for number, (refused, _) in said.items() if refused} == {"5b", "7"}
    assert "28 bits" in said["34"][1]
    assert all(answer for _, answer in said.values())
