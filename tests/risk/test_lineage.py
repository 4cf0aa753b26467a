"""Lineage: every link is there, and figures have one spelling."""

import json
from typing import Any

import pytest

from risk.lineage import Ancestry, figures_bytes, figures_digest, lineage_document, window_of
from tests.privacy.table import manifest_of, names_of
from tests.risk.dossiers import dossier_of

MANIFEST: dict[str, Any] = json.loads(manifest_of(names_of(4)).encode())


def test_figures_have_one_spelling() -> None:
    figures = {"auc": 0.75, "roc": ((0.0, 1.0),), "psi": float("nan"), "ks": None}
    assert figures_bytes(figures) == b'{"auc":0.75,"ks":null,"psi":null,"roc":[[0.0,1.0]]}'
    assert figures_digest(figures) == figures_digest(dict(reversed(figures.items())))
    assert figures_digest({**figures, "auc": 0.7500000001}) != figures_digest(figures)
    assert figures_bytes(None) == b"{}"


@pytest.mark.parametrize("window", [None, ("2019-01", "2020-12")])
def test_a_lineage_names_every_link(window: tuple[str, str] | None) -> None:
    ancestry = Ancestry("aa" * 32, "bb" * 32, "cc" * 32, 10, {"auc": 0.75}, window, ("job-2",))
    document = lineage_document(MANIFEST, ancestry)

    assert (document["model"], document["parent"], document["job"]) == ("aa" * 32, "bb" * 32, "job-1")
    assert (document["dictionary_sha256"], document["code_sha256"]) == ("1" * 64, "0" * 64)
    assert (document["recipe"], document["recipe_version"], document["parameters"]) == ("scorecard", 1, {"bins": 8})
    assert (document["members"], document["rounds"], document["epsilon"]) == (names_of(4), 10, None)
    assert document["window"] == (None if window is None else {"first": "2019-01", "last": "2020-12"})
    assert document["validations"] == ["job-2"] and document["metrics"] == {"auc": 0.75}
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_a_first_model_has_no_parent() -> None:
    assert lineage_document(MANIFEST, Ancestry("aa" * 32, "", "cc" * 32, None, None))["parent"] is None


def test_the_window_is_what_validations_saw() -> None:
    def report(*periods: str, months: list[str] | None = None) -> dict[str, Any]:
        entry = {"stability": [{"period": period, "withheld": False} for period in periods]}
        return {"rows": {"months": months}, "models": {"champion": entry}}

    assert window_of([]) is None and window_of([report()]) is None and window_of([report("undated")]) is None
    assert window_of([report("2019-03..2019-06", "2018-11"), report("2020-01")]) == ("2018-11", "2020-01")
    assert window_of([report(months=["2017-01", "2017-12"])]) == ("2017-01", "2017-12")


def test_the_window_is_read_from_a_real_report() -> None:
    dossier = dossier_of("scorecard", validated=True)
    assert window_of(report for _, report in dossier.validations) is None  # the room dates no row
