"""A job's folder belongs to one manifest."""

from pathlib import Path

import pytest

from node.archive import Archive
from privacy.errors import RefusalError
from tests.privacy.table import manifest_of, names_of


def test_a_job_goes_on_under_its_manifest(tmp_path: Path) -> None:
    manifest = manifest_of(names_of(5))
    Archive(tmp_path, "a" * 64).begin(manifest)

    Archive(tmp_path, "a" * 64).begin(manifest)

    assert Archive(tmp_path, "a" * 64).read(manifest.job).manifest == manifest


@pytest.mark.parametrize("change", [{"seed": 1}, {"purpose": "marketing"}, {"parameters": {"bins": 9}}])
def test_a_known_job_under_another_manifest_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    Archive(tmp_path, "a" * 64).begin(manifest_of(names_of(5)))

    with pytest.raises(RefusalError) as refused:
        Archive(tmp_path, "a" * 64).begin(manifest_of(names_of(5), **change))

    assert refused.value.code == "job-renamed"


def test_a_known_job_with_fewer_seats_is_refused(tmp_path: Path) -> None:
    Archive(tmp_path, "a" * 64).begin(manifest_of(names_of(6)))

    with pytest.raises(RefusalError) as refused:
        Archive(tmp_path, "a" * 64).begin(manifest_of(names_of(5)))

    assert refused.value.code == "job-renamed"
