"""The documents say what the product does: their commands parse, their links lead somewhere, their languages agree."""

import argparse
import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READMES = (ROOT / "README.md", ROOT / "README.zh-CN.md")
DOCUMENTS = (*READMES, *sorted((ROOT / "docs").glob("*.md")))
PROGRAMS = {
    "creditmesh-node": "node.cli",
    "creditmesh-coordinator": "coordinator.cli",
    "creditmesh-audit": "audit.cli",
    "creditmesh-demo": "creditmesh_demo.cli",
}
# Words in capitals stand for something; where a number is meant, one is put in.
NUMBERS = {"NUMBER": "1", "ROUND": "1"}
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def _lines_shown(text: str) -> Iterator[str]:
    """Yield the lines of fenced and of indented blocks, continued lines as one."""
    fenced, pending = False, ""
    for line in text.splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            line = pending + line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
            pending = line[:-1] if line.endswith("\\") else ""
            if not pending:
                yield line


def _commands(document: Path) -> list[list[str]]:
    """Return the words of every command of ours that a document shows."""
    found = []
    for line in _lines_shown(document.read_text("utf-8")):
        if re.match(r"(creditmesh-[a-z]+|make)( |$)", line):
            plain = re.sub(r"(?<=\s)\.\.\.(?=\s|$)", "", re.split(r"\s(?:\||>|&&|;|&)(?:\s|$)", line)[0])
            found.append([NUMBERS.get(word, word) for word in shlex.split(plain, comments=True)])
    return found


def _parser(program: str, arguments: list[str]) -> argparse.ArgumentParser:
    name = "_room_parser" if program == "creditmesh-demo" and arguments[:1] == ["room"] else "_parser"
    parser = getattr(import_module(PROGRAMS[program]), name)()
    assert isinstance(parser, argparse.ArgumentParser)
    return parser


def _complaint(words: list[str]) -> str:
    """Return what the product says against a command line; nothing if it takes it."""
    program, *arguments = words
    if program == "make":
        return _complaint_of_make(arguments)
    if program not in PROGRAMS:
        return f"no program {program}"
    try:
        parser = _parser(program, arguments)
        parser.parse_args(arguments[1:] if parser.prog.endswith(" room") else arguments)
    except SystemExit as ended:
        return "" if ended.code in (0, None) else "usage"
    except Exception as error:
        return str(error)
    return ""


def _complaint_of_make(arguments: list[str]) -> str:
    text = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", text, re.MULTILINE))
    known = set(re.findall(r"\$\(([A-Z]+)\)", text))
    settings = {word.partition("=")[0] for word in arguments if "=" in word}
    unknown = {word for word in arguments if "=" not in word} - targets | settings - known
    return f"the Makefile has no {', '.join(sorted(unknown))}" if unknown else ""


@each_document
def test_every_command_shown_is_accepted(document: Path) -> None:
    complaints = {shlex.join(words): _complaint(words) for words in _commands(document)}

    assert {line: said for line, said in complaints.items() if said} == {}


def test_a_command_that_does_not_exist_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(
        "```sh\ncreditmesh-node jion CODE\n```\n\n    make demo SEDE=1\n"
        "    creditmesh-audit verify \\\n        --no-such x\n"
        "    creditmesh-coordinator submit\n    creditmesh-demo room\n    make nothing\n    creditmesh-none\n"
    )

    found = _commands(tmp_path / "page.md")

    assert len(found) == 7
    assert all(map(_complaint, found))


@each_document
def test_every_command_named_in_a_sentence_exists(document: Path) -> None:
    spans = re.findall(r"`(creditmesh-(?:node|coordinator|audit)) ([a-z|-]+)", document.read_text("utf-8"))

    for program, names in spans:
        usage = _parser(program, []).format_help()
        for name in names.split("|"):
            assert re.search(rf"^    {name}(?:\s|$)", usage, re.MULTILINE), f"{program} {name}"


@each_document
def test_every_link_and_every_named_test_leads_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")

    links = [link for link in re.findall(r"\]\(([^)#\s]+)", text) if not re.match(r"[a-z]+:", link)]
    assert [link for link in links if not (document.parent / link).exists()] == []
    for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", text):
        assert not test or f"def {test}(" in (ROOT / path).read_text("utf-8"), f"{path}::{test}"
        assert (ROOT / path).is_file(), path


def test_both_readmes_have_the_same_headings_commands_and_links() -> None:
    english, chinese = (path.read_text("utf-8") for path in READMES)

    levels = [[len(mark) for mark in re.findall(r"^(#+) ", text, re.MULTILINE)] for text in (english, chinese)]
    assert levels[0] == levels[1]
    assert _commands(READMES[0]) == _commands(READMES[1]) != []
    links = [set(re.findall(r"\]\(([^)\s]+)", text)) for text in (english, chinese)]
    assert links[0] - {"README.zh-CN.md"} == links[1] - {"README.md"}


def test_the_glossary_has_both_languages_in_each_row() -> None:
    text = (ROOT / "docs" / "glossary.md").read_text("utf-8")

    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    terms = [row for row in rows if not set("".join(row)) <= set("-: ")]
    assert len(terms) > 30
    for row in terms:
        assert len(row) == 4 and all(row), row
        assert all(re.search("[A-Za-z]", row[each]) for each in (0, 2)), row
        assert all(re.search("[\u4e00-\u9fff]", row[each]) for each in (1, 3)), row
    assert len({row[0] for row in terms}) == len({row[1] for row in terms}) == len(terms)
