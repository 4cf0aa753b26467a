"""A bank refuses a validation that could be subtracted from one it answered; it looks at its own archive alone."""

from pathlib import Path
from typing import Any

import pytest

from node.archive import Archive
from node.windows import check_windows
from privacy.errors import RefusalError
from privacy.manifest import Manifest
from risk.modelfile import encode_model, model_digest
from tests.privacy.table import manifest_of, names_of
from tests.risk.validation_rooms import dated_dictionary, dated_tables, train_model

DICTIONARY = dated_dictionary()
MODEL = train_model("scorecard", dated_tables(DICTIONARY, (900, 700, 600, 400), 3), DICTIONARY)
DIGEST = model_digest(MODEL)
FIRST_HALF = {"rows": "months", "month_from": 200401, "month_to": 200406}
TWO_THIRDS = {"rows": "months", "month_from": 200401, "month_to": 200408}
SECOND_HALF = {"rows": "months", "month_from": 200407, "month_to": 200412}


def kept(digest: str) -> bytes:
    if digest != DIGEST:
        raise RefusalError("model-unknown", "not here")
    return encode_model(MODEL)


def validation(job: str, **parameters: Any) -> Manifest:
    return manifest_of(names_of(5), job=job, recipe="validation", parameters={"model": DIGEST, **parameters})


def answered(state: Path, *manifests: Manifest) -> Archive:
    archive = Archive(state, "a" * 64)
    for manifest in manifests:
        archive.begin(manifest)
    return archive


def test_a_window_that_overlaps_an_answered_one_is_refused(tmp_path: Path) -> None:
    archive = answered(tmp_path, manifest_of(names_of(5), job="trained"), validation("one", **FIRST_HALF))
    jobs = ["trained", "one"]
    for fine in (SECOND_HALF, FIRST_HALF, {"rows": "holdout"}):
        check_windows(validation("two", **fine), jobs, archive, DICTIONARY, kept)
    for wrong in (TWO_THIRDS, {"rows": "all"}, {**FIRST_HALF, "period_rows": 400}):
        with pytest.raises(RefusalError, match="one") as refused:
            check_windows(validation("two", **wrong), jobs, archive, DICTIONARY, kept)
        assert refused.value.code == "validation-window"


def test_three_windows_of_which_one_is_the_rest_are_refused(tmp_path: Path) -> None:
    """Neither of the first two is near the third; together they leave two months of it."""
    short = {"rows": "months", "month_from": 200407, "month_to": 200410}
    archive = answered(tmp_path, validation("one", **FIRST_HALF), validation("two", **short))
    with pytest.raises(RefusalError):
        check_windows(validation("three", rows="all"), ["one", "two"], archive, DICTIONARY, kept)


def test_only_jobs_on_these_rows_count_and_a_job_not_against_itself(tmp_path: Path) -> None:
    archive = answered(tmp_path, validation("one", **FIRST_HALF))
    check_windows(validation("two", **TWO_THIRDS), [], archive, DICTIONARY, kept)
    check_windows(validation("one", **FIRST_HALF), ["one"], archive, DICTIONARY, kept)
    check_windows(manifest_of(names_of(5), job="trained"), ["one"], archive, DICTIONARY, kept)


def test_without_its_record_nothing_more_is_answered(tmp_path: Path) -> None:
    archive = answered(tmp_path)
    with pytest.raises(RefusalError) as refused:
        check_windows(validation("two", **FIRST_HALF), ["lost"], archive, DICTIONARY, kept)
    assert refused.value.code == "validation-record"


def test_a_model_that_is_gone_is_named_with_the_job_that_looked_at_it(tmp_path: Path) -> None:
    other = manifest_of(names_of(5), job="one", recipe="validation", parameters={"model": "f" * 64})
    with pytest.raises(RefusalError) as refused:
        check_windows(validation("two", **FIRST_HALF), ["one"], answered(tmp_path, other), DICTIONARY, kept)
    assert refused.value.code == "model-unknown"
