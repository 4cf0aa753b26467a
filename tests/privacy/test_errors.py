"""Errors carry a stable code and one line."""

import pytest

from privacy import errors


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "PrivacyError"])
def test_an_error_has_a_code_and_a_message(name: str) -> None:
    error = getattr(errors, name)("a-code", "one line")
    assert (error.code, error.message, str(error)) == ("a-code", "one line", "one line")
    assert isinstance(error, errors.PrivacyError)
