"""The source tree as the floor tests see it: which files there are, and their syntax.

It holds no rule itself. Every rule is a function of a root folder that returns its findings as text, so that a test can
plant a breach in a small tree and see it found.
"""

import ast
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

__all__ = ["PACKAGES", "ROOT", "is_generated", "package_files", "parse", "plant", "text_files"]

ROOT = Path(__file__).resolve().parents[2]
# Import name to folder. The names are what a wheel may install.
PACKAGES = {
    "node": "node",
    "coordinator": "coordinator",
    "audit": "audit",
    "privacy": "privacy",
    "risk": "risk",
    "creditmesh_wire": "proto/creditmesh_wire",
    "creditmesh_demo": "deploy/creditmesh_demo",
}
_FOLDERS = (
    "node",
    "coordinator",
    "audit",
    "privacy",
    "risk",
    "proto",
    "deploy",
    "tests",
    "docs",
    "requirements",
    ".ci",
)
_LEFT_OUT = {"__pycache__", ".hypothesis", "node_modules"}


def is_generated(path: Path) -> bool:
    """Say whether a file is written by the protobuf compiler."""
    return path.name.endswith(("_pb2.py", "_pb2.pyi", "_pb2_grpc.py"))


def package_files(root: Path, *packages: str) -> Iterator[tuple[str, Path]]:
    """Yield (path inside the package's import name, file) of the packages' own Python files, in order."""
    for package in packages or tuple(PACKAGES):
        folder = root / PACKAGES[package]
        for path in sorted(folder.rglob("*.py")):
            if not is_generated(path):
                yield f"{package}/{path.relative_to(folder).as_posix()}", path


def text_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yield (path inside the tree, file) of everything that we keep under version control."""
    for path in sorted(root.iterdir()):
        if path.is_file():
            yield path.name, path
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            inside = path.relative_to(root)
            if path.is_file() and not _LEFT_OUT.intersection(inside.parts):
                yield inside.as_posix(), path


def parse(path: Path) -> ast.Module:
    """Parse one file; the tree is shared, so it is read and never changed."""
    return _parse_text(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=2048)
def _parse_text(text: str) -> ast.Module:
    return ast.parse(text)


def plant(root: Path, files: dict[str, str]) -> Path:
    """Write a small tree (path to text) below `root` and return it."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root
