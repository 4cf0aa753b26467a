"""Caps on exact sums: bytes that left, and tables that differ from an earlier one by a few rows."""

from pathlib import Path

import pytest

from node.config import PermitSettings
from node.permit import Permit
from node.usage import NEW_VERSION_ROWS, charge_upload, load_usage
from privacy.errors import RefusalError


def test_masked_parts_beyond_the_cap_are_refused_and_not_counted(tmp_path: Path) -> None:
    usage, permit = load_usage(tmp_path / "usage.json", "a" * 64, 500), Permit(PermitSettings(exact_upload_bytes=1000))
    charge_upload(usage, permit, 600)
    charge_upload(usage, permit, 400)

    with pytest.raises(RefusalError) as refused:
        charge_upload(usage, permit, 1)

    assert refused.value.code == "permit-exact-upload"
    assert usage.spent.uploaded_bytes == 1000


@pytest.mark.parametrize(("more", "fresh"), [(0, False), (NEW_VERSION_ROWS - 1, False), (NEW_VERSION_ROWS, True)])
def test_a_table_with_few_new_rows_goes_on_with_the_earlier_counts(tmp_path: Path, more: int, fresh: bool) -> None:
    path = tmp_path / "usage.json"
    load_usage(path, "a" * 64, 500).join("job-1", ("x", "y"))

    later = load_usage(path, "b" * 64, 500 + more)

    assert (later.spent.exact_jobs == 0) is fresh
    assert later.dataset == ("b" if fresh else "a") * 64


def test_rows_added_a_few_at_a_time_never_make_a_new_version(tmp_path: Path) -> None:
    path = tmp_path / "usage.json"
    load_usage(path, "0" * 64, 500).join("job-0", ("x", "y"))
    for step in range(1, 5):
        load_usage(path, f"{step}" * 64, 500 + 20 * step).join(f"job-{step}", ("x", "y"))

    assert load_usage(path, "f" * 64, 599).spent.exact_jobs == 5
    assert load_usage(path, "f" * 64, 600).spent.exact_jobs == 0


def test_a_table_seen_before_keeps_its_own_counts(tmp_path: Path) -> None:
    path = tmp_path / "usage.json"
    load_usage(path, "a" * 64, 500).join("job-1", ("x", "y"))
    load_usage(path, "b" * 64, 900).join("job-2", ("x", "y"))

    assert load_usage(path, "a" * 64, 500).jobs == ["job-1"]
