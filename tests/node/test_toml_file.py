"""A TOML file becomes a frozen model or one line: file, key, what was found, what was expected."""

from pathlib import Path

import pytest
from pydantic import Field

from node.toml_file import LARGEST_BYTES, RelativePath, Section, read_document, read_model
from privacy.errors import InputError


class Inner(Section):
    """One table."""

    where: RelativePath
    count: int = Field(ge=1, le=9)


class Outer(Section):
    """A whole file."""

    inner: Inner


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as caught:
        read_model(path, Outer)
    assert "\n" not in caught.value.message
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("[inner]\ncount = 1\nwhere = 'a'\ncolour = 3\n", "key-unknown", "unknown key inner.colour"),
        ("[inner]\nwhere = 'a'\n", "key-missing", "key inner.count is missing"),
        ("", "key-missing", "key inner is missing"),
        ("[inner]\ncount = 10\nwhere = 'a'\n", "key-value", "inner.count: found 10, expected less than or equal to 9"),
        ("[inner]\ncount = '5'\nwhere = 'a'\n", "key-value", "inner.count: found text, expected"),
        ("[inner]\ncount = true\nwhere = 'a'\n", "key-value", "inner.count: found true/false, expected"),
        (f"[inner]\ncount = {'9' * 4000}\nwhere = 'a'\n", "key-value", "a very large integer"),
        (f"[inner]\ncount = {'9' * 5000}\nwhere = 'a'\n", "toml-syntax", "too large"),
        ("[inner]\ncount = 1\nwhere = ''\n", "key-value", "inner.where: found empty text, expected a path"),
        ("[inner]\ncount = 1\nwhere = 7\n", "key-value", "inner.where: found 7, expected a path in quotes"),
        ("inner = 4\n", "key-value", "inner: found 4, expected a table [inner]"),
        ("[inner\n", "toml-syntax", "line 1"),
        ("x = " + "[" * 5000, "toml-syntax", "nested too deeply"),
        ("[inner]\ncount = 0\nwhere = 7\n", "key-value", "(and 1 more)"),
    ],
)
def test_says_file_key_found_and_expected(tmp_path: Path, text: str, code: str, says: str) -> None:
    path = tmp_path / "x.toml"
    path.write_text(text, encoding="utf-8")

    error = refusal(path)

    assert error.code == code
    assert says in error.message


def test_never_shows_text_that_was_found(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[inner]\nwhere = 'a'\ncount = 'deadbeefsecret'\n", encoding="utf-8")

    assert "deadbeef" not in refusal(path).message


def test_a_path_is_relative_to_the_file_and_the_model_is_frozen(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("[inner]\ncount = 2\nwhere = 'sub/a.csv'\n", encoding="utf-8")

    model = read_model(path, Outer)

    assert model.inner.where == tmp_path / "sub" / "a.csv"
    with pytest.raises(ValueError, match="frozen"):
        model.inner.count = 3  # type: ignore[misc]


def test_refuses_what_is_no_readable_text(tmp_path: Path) -> None:
    latin, large = tmp_path / "latin.toml", tmp_path / "large.toml"
    latin.write_bytes(b"name = 'caf\xe9'\n")
    large.write_bytes(b"#" * (LARGEST_BYTES + 1))
    codes = {}
    for path in (latin, large, tmp_path, tmp_path / "absent.toml"):
        with pytest.raises(InputError) as caught:
            read_document(path)
        codes[path.name] = caught.value.code

    assert list(codes.values()) == ["toml-encoding", "file-too-large", "file-unreadable", "file-unreadable"]
