"""Sizes, names, `__all__` and broad handlers; and no file names a machine, a registry or a person's folder."""

import re
from pathlib import Path

import pytest

from tests.floors.style import catch_findings, name_findings, offer_findings, size_findings
from tests.floors.tree import ROOT, plant, text_files

# Put together here, so that this file does not find itself.
_SLASH = "/"
MACHINE = re.compile(
    "|".join(
        [
            rf"(?<![\w.{_SLASH}<]){_SLASH}(work|root|Users){_SLASH}",
            rf"(?<![\w.{_SLASH}<]){_SLASH}home{_SLASH}(?!bank\b|nonroot\b)\w",
            r"\bpypi\." + "org",
            r"pythonhosted\." + "org",
            r"download\.pytorch\." + "org",
            r"^\s*(--(extra-)?index-url|--find-links|--trusted-host)\b",
        ]
    ),
    re.MULTILINE,
)


def machine_findings(root: Path) -> list[str]:
    """List lines that name a folder of one machine, a package registry or an index."""
    findings: list[str] = []
    for where, path in text_files(root):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        findings += [
            f"{where}:{text.count(chr(10), 0, found.start()) + 1}: {found.group()}" for found in MACHINE.finditer(text)
        ]
    return findings


def test_files_and_functions_are_short() -> None:
    assert size_findings(ROOT) == []


def test_names_say_something() -> None:
    assert name_findings(ROOT) == []


def test_every_module_says_what_it_offers() -> None:
    assert offer_findings(ROOT) == []


def test_only_outer_loops_catch_everything() -> None:
    assert catch_findings(ROOT) == []


def test_no_file_names_a_machine() -> None:
    assert machine_findings(ROOT) == []


@pytest.mark.parametrize("where", ["risk/long.py", "tests/risk/test_long.py"])
def test_a_long_file_and_a_long_function_are_found(tmp_path: Path, where: str) -> None:
    short = "def f() -> None:\n" + "    pass\n" * 49
    assert size_findings(plant(tmp_path, {where: short + "\n" * 350})) == []
    assert len(size_findings(plant(tmp_path, {where: short + "    pass\n"}))) == 1
    assert len(size_findings(plant(tmp_path, {where: "\n" * 401}))) == 1


def test_generated_code_may_be_long(tmp_path: Path) -> None:
    assert size_findings(plant(tmp_path, {"proto/creditmesh_wire/v1/link_pb2.py": "\n" * 900})) == []


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("risk/utils.py", ""),
        ("risk/data_table.py", ""),
        ("node/common/x.py", ""),
        ("node/x.py", "class RoundManager:\n    pass\n"),
        ("node/x.py", "class BaseLink:\n    pass\n"),
        ("node/x.py", "def read_data() -> None: ...\n"),
        ("node/x.py", "async def get_info() -> None: ...\n"),
        ("node/x.py", "class A:\n    def errorHandler(self) -> None: ...\n"),
        ("node/x.py", "def context() -> None: ...\n"),
    ],
)
def test_an_empty_word_is_found(tmp_path: Path, where: str, text: str) -> None:
    assert name_findings(plant(tmp_path, {where: text}))


def test_a_longer_word_is_no_empty_word(tmp_path: Path) -> None:
    text = "def database_url() -> None: ...\ndef baseline() -> None: ...\nclass Metadata:\n    pass\n"
    assert name_findings(plant(tmp_path, {"node/store.py": text})) == []


def test_a_module_without_all_is_found(tmp_path: Path) -> None:
    files = {"risk/__init__.py": "", "risk/a.py": "x = 1\n", "risk/b.py": "__all__ = ['x']\nx = 1\n"}
    assert offer_findings(plant(tmp_path, files)) == ["risk/a.py: no __all__"]


@pytest.mark.parametrize("kind", ["except Exception", "except BaseException", "except", "except (OSError, Exception)"])
def test_a_broad_handler_is_found(tmp_path: Path, kind: str) -> None:
    body = f"try:\n    pass\n{kind}:\n    pass\n"
    assert len(catch_findings(plant(tmp_path, {"node/session.py": body}))) == 1
    assert catch_findings(plant(tmp_path / "outer", {"node/service.py": body})) == []
    again = body.replace("    pass\n", "    raise\n")
    assert catch_findings(plant(tmp_path / "again", {"node/session.py": again})) == []


def test_an_error_may_be_handed_on_where_the_table_says_so_and_never_dropped(tmp_path: Path) -> None:
    dropped = "try:\n    pass\nexcept Exception as error:\n    pass\n"
    handed = "try:\n    pass\nexcept Exception as error:\n    events.put(error)\n"
    assert len(catch_findings(plant(tmp_path / "1", {"risk/flower_link.py": dropped}))) == 1
    assert catch_findings(plant(tmp_path / "2", {"risk/flower_link.py": handed})) == []
    assert len(catch_findings(plant(tmp_path / "3", {"risk/split.py": handed}))) == 1


@pytest.mark.parametrize(
    "text",
    [
        "see " + "/work" + "/shared",
        "path = '" + "/home" + "/somebody/x'",
        "/root" + "/.cache",
        "https://pypi." + "org/simple",
        "--extra-index" + "-url somewhere",
        "--find" + "-links wheels",
    ],
)
def test_a_named_machine_is_found(tmp_path: Path, text: str) -> None:
    assert machine_findings(plant(tmp_path, {"docs/note.md": text + "\n"}))
