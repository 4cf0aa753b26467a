"""Events as people read them: a cause for every reason, and a next step wherever somebody can do something."""

import re
from pathlib import Path

import pytest

from coordinator.console.language import load_texts
from coordinator.console.story import cause_of, tell
from coordinator.store import JobEvent

ROOT = Path(__file__).resolve().parents[3]
TEXTS = load_texts()


def refusal_codes() -> set[str]:
    """Return the codes with which a bank stays away from a job, or its permit ends one."""
    listed = (ROOT / "node" / "permit.py").read_text("utf-8")
    return set(re.findall(r"\bpermit-[a-z-]+\b", listed)) | {"no-answer", "code-differs", "dictionary-differs"}


def test_every_way_to_be_left_out_is_told() -> None:
    codes = refusal_codes()
    assert len(codes) > 9
    assert {code for code in codes if f"cause.{code}" not in TEXTS or f"next.{code}" not in TEXTS} == set()


def test_every_kind_of_event_has_a_text() -> None:
    written = set()
    for path in (ROOT / "coordinator").glob("*.py"):
        written |= set(re.findall(r'"((?:job|member|members|round)-[a-z-]+)", \{', path.read_text("utf-8")))
    written &= {kind for kind in written if not kind.endswith("-spoofed")}
    assert {"job-paused", "members-excluded", "member-left-out"} <= written
    assert {kind for kind in written if f"event.{kind}" not in TEXTS} == set()


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("member lost: bank-3; 3 members are left, at least 4 are needed", "member-lost"),
        ("3 members are enrolled, at least 4 are needed", "members-too-few"),
        ("bank-2 did not answer within 600 s", "deadline"),
        ("sum not verified: too few members are left", "sum-unverified"),
        ("internal error: ValueError", "internal"),
        ("something that nobody foresaw", ""),
    ],
)
def test_a_sentence_of_before_has_a_cause(reason: str, cause: str) -> None:
    assert cause_of(reason) == cause


def test_a_code_wins_over_its_sentence() -> None:
    chapter = tell(JobEvent(1, "j", 1, "member-left-out", {"member": "bank-1", "code": "permit-rows"}))
    assert (chapter.cause, chapter.grave, chapter.parts["member"]) == ("permit-rows", True, "bank-1")


def test_a_list_is_told_with_its_number() -> None:
    parts = tell(JobEvent(1, "j", 1, "job-started", {"members": ["a", "b"]})).parts
    assert (parts["members"], parts["members_count"]) == ("a, b", 2)
