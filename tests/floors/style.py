"""House rules that a syntax tree shows: sizes, names, what a module offers, what it catches."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.floors.tree import is_generated, package_files, parse

__all__ = ["catch_findings", "name_findings", "offer_findings", "size_findings"]

LARGEST_FILE = 400
LARGEST_FUNCTION = 50
BANNED = {"manager", "handler", "helper", "util", "common", "data", "info", "context", "base"}
# Names that a library gives and we can only fill in: `html.parser.HTMLParser`.
GIVEN_NAMES = {"handle_data"}
# Terms of the field that hold such a word: X.509's common name.
GIVEN_TERMS = re.compile(r"common_name|commonName|CommonName")
# The top of a thread, of a stream or of a group's commit: the error is handed to whoever waits for it, never dropped.
HANDED_ON = {"coordinator/grpc_link.py", "coordinator/receipt.py", "node/scorer/recorder.py", "privacy/log/appender.py",
             "risk/flower_link.py"}  # fmt: skip
# The outer loop of a process may catch everything: there it says so and ends.
OUTER_LOOPS = re.compile(r"(node|coordinator|audit|creditmesh_demo)/(cli|service|__main__)\.py")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+\d*|\d+")


def size_findings(root: Path) -> list[str]:
    """List files above 400 lines and functions above 50, tests included, generated code excluded."""
    findings: list[str] = []
    for where, path in _all_files(root):
        lines = len(path.read_text(encoding="utf-8").splitlines())
        if lines > LARGEST_FILE:
            findings.append(f"{where}: {lines} lines, at most {LARGEST_FILE}")
        for item in ast.walk(parse(path)):
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (item.end_lineno or item.lineno) - item.lineno + 1
                if length > LARGEST_FUNCTION:
                    findings.append(
                        f"{where}:{item.lineno}: {item.name} has {length} lines, at most {LARGEST_FUNCTION}"
                    )
    return findings


def name_findings(root: Path) -> list[str]:
    """List files, classes and functions whose name holds a word that says nothing."""
    findings: list[str] = []
    for where, path in package_files(root):
        findings += [f"{where}: the path says {word!r}" for part in Path(where).parts for word in _banned(part)]
        for item in ast.walk(parse(path)):
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and item.name not in GIVEN_NAMES:
                findings += [f"{where}:{item.lineno}: {item.name} says {word!r}" for word in _banned(item.name)]
    return findings


def offer_findings(root: Path) -> list[str]:
    """List modules without `__all__`; an empty `__init__.py` and a `__main__.py` offer nothing."""
    findings: list[str] = []
    for where, path in package_files(root):
        tree = parse(path)
        silent = path.name == "__main__.py" or (path.name == "__init__.py" and not tree.body)
        if not silent and not any(_assigns_all(item) for item in tree.body):
            findings.append(f"{where}: no __all__")
    return findings


def catch_findings(root: Path) -> list[str]:
    """List handlers that catch everything outside a process's outer loop and neither raise it again nor hand it on."""
    findings: list[str] = []
    for where, path in package_files(root):
        if OUTER_LOOPS.fullmatch(where):
            continue
        for item in ast.walk(parse(path)):
            if isinstance(item, ast.ExceptHandler) and _catches_all(item) and not _raises_again(item):
                if where in HANDED_ON and _uses_error(item):
                    continue
                findings.append(f"{where}:{item.lineno}: catches everything")
    return findings


def _all_files(root: Path) -> Iterator[tuple[str, Path]]:
    yield from package_files(root)
    for folder in ("tests", "requirements", "deploy"):
        for path in sorted((root / folder).rglob("*.py")):
            inside = path.relative_to(root).as_posix()
            if not is_generated(path) and not inside.startswith("deploy/creditmesh_demo/"):
                yield inside, path


def _banned(name: str) -> list[str]:
    words = [word.lower() for word in _WORDS.findall(GIVEN_TERMS.sub("", name.removesuffix(".py")))]
    return [word for word in words if word in BANNED or word.removesuffix("s") in BANNED]


def _assigns_all(item: ast.stmt) -> bool:
    targets = item.targets if isinstance(item, ast.Assign) else [item.target] if isinstance(item, ast.AnnAssign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)


def _catches_all(item: ast.ExceptHandler) -> bool:
    if item.type is None:
        return True
    kinds = item.type.elts if isinstance(item.type, ast.Tuple) else [item.type]
    return any(isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"} for kind in kinds)


def _uses_error(item: ast.ExceptHandler) -> bool:
    used = {name.id for each in item.body for name in ast.walk(each) if isinstance(name, ast.Name)}
    return item.name in used


def _raises_again(item: ast.ExceptHandler) -> bool:
    last = item.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None
