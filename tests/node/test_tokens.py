"""Tokens: shown once, kept as digests, strict in their file."""

import json
from pathlib import Path

import pytest

from node.tokens import ROLES, Caller, TokenFile, allowed
from privacy.errors import InputError, RefusalError

NOW = "2026-11-24T00:00:00Z"


def test_a_token_is_known_and_another_is_not(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    secret = tokens.add("till", "scorer", NOW)
    assert tokens.caller(secret) == Caller("till", "scorer")
    for wrong in ("", secret[:-1], secret + "x", secret.upper(), "cmt_", "x" * 10_000, "\ud800"):
        assert tokens.caller(wrong) is None
    assert secret not in tokens.path.read_text("utf-8")
    assert TokenFile(tmp_path).caller(secret) == Caller("till", "scorer")


def test_another_process_sees_changes(tmp_path: Path) -> None:
    mine, other = TokenFile(tmp_path), TokenFile(tmp_path)
    secret = mine.add("till", "scorer", NOW)
    assert other.caller(secret) is None
    other.refresh()
    assert other.caller(secret) is not None
    mine.revoke("till")
    other.refresh()
    assert other.caller(secret) is None and other.listed() == []


def test_names_and_roles_are_checked(tmp_path: Path) -> None:
    tokens = TokenFile(tmp_path)
    tokens.add("till", "scorer", NOW)
    for name, role in (("Till", "scorer"), ("", "scorer"), ("a b", "scorer"), ("x" * 64, "scorer"), ("x", "king")):
        with pytest.raises(InputError):
            tokens.add(name, role, NOW)
    with pytest.raises(RefusalError, match="revoke it first"):
        tokens.add("till", "risk", NOW)
    with pytest.raises(InputError, match="no token named"):
        tokens.revoke("nobody")


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    TokenFile(tmp_path).add("till", "scorer", NOW)
    (tmp_path / "tokens.json").chmod(0o644)
    with pytest.raises(InputError, match="expected 0600"):
        TokenFile(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"tokens": {}}',
        '{"tokens": [5]}',
        json.dumps({"tokens": [{"name": "a", "role": "king", "sha256": "", "created": ""}]}),
        json.dumps({"tokens": [{"name": "a", "role": "risk", "sha256": 5, "created": ""}]}),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tokens.json"
    path.touch(mode=0o600)
    path.write_text(content, "utf-8")
    with pytest.raises(InputError, match="not the file"):
        TokenFile(tmp_path)


def test_all_but_approvers_read_decisions_and_only_account_managers_tell_soft_information() -> None:
    callers = [Caller("x", role) for role in ROLES]
    assert [caller.role for caller in callers if not allowed(caller, "read")] == ["approver"]
    assert [caller.role for caller in callers if allowed(caller, "approve")] == ["approver"]
    assert [caller.role for caller in callers if allowed(caller, "bank")] == ["risk", "auditor", "approver"]
    assert [caller.role for caller in callers if allowed(caller, "soft")] == ["account-manager"]
    assert not any(allowed(Caller("x", "auditor"), action) for action in ("decide", "soft", "score", "override"))
