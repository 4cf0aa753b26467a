"""The locks pin everything by hash, keep the towers apart, and agree with Flower's caps and with pyproject.toml."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.floors.tree import ROOT

NAMES = ("base", "towers", "towers-cuda", "torch-cpu", "coordinator", "node")
LOCKS = {name: ROOT / "requirements" / f"{name}.lock" for name in NAMES}
# What Flower 1.41 asks of packages that others use too; a version outside would break one of the two.
CAPS = [
    *("protobuf>=6.33.5,<7", "cryptography>=50,<51", "fastapi>=0.138,<0.139", "starlette>=1.3.1,<1.4"),
    *("uvicorn>=0.49,<0.50", "typer<0.21", "rich>=14,<15", "packaging>=24,<26", "sqlalchemy>=2.0.45,<3"),
]


def pins(text: str) -> dict[str, list[tuple[str, int]]]:
    """Map each package of a lock to its (version, number of hashes); more than one where markers choose."""
    found: dict[str, list[tuple[str, int]]] = {}
    for block in re.split(r"\n(?=[a-z0-9])", text):
        start = re.match(r"([a-z0-9][a-z0-9.-]*)==([^ ;\\\n]+)", block)
        if start:
            hashes = len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", block))
            found.setdefault(start.group(1), []).append((start.group(2), hashes))
    return found


def lock_findings(text: str) -> list[str]:
    """List packages without a hash and lines that a hashed lock may not hold."""
    bare = [f"{name}=={version} has no hash" for name, each in pins(text).items() for version, n in each if n == 0]
    odd = [
        line for line in text.splitlines() if line and not re.match(r"#|[a-z0-9][a-z0-9.-]*==|    --hash=sha256:", line)
    ]
    return bare + [f"odd line {line!r}" for line in odd]


@pytest.mark.parametrize("name", LOCKS)
def test_everything_is_pinned_by_hash(name: str) -> None:
    assert lock_findings(LOCKS[name].read_text("utf-8")) == []


@pytest.mark.parametrize("line", ["numpy==2.4.6", "--index-url=https://example.org", "numpy>=2", "-e ."])
def test_a_planted_line_is_found(line: str) -> None:
    good = "numpy==2.4.6 \\\n    --hash=sha256:" + "0" * 64 + "\n"
    assert lock_findings(good) == []
    assert len(lock_findings(good + line + "\n")) == 1


def test_base_holds_nothing_of_the_towers() -> None:
    base, towers = (set(pins(LOCKS[name].read_text("utf-8"))) for name in ("base", "towers"))
    assert {"torch", "flwr"} <= towers
    assert base.isdisjoint(towers)
    assert not base & {"torch", "flwr", "scipy"}


@pytest.mark.parametrize("name", ["coordinator", "node"])
def test_an_excerpt_is_part_of_base_without_tools(name: str) -> None:
    base, excerpt = (pins(LOCKS[each].read_text("utf-8")) for each in ("base", name))
    assert {"cryptography", "grpcio", "pydantic"} <= set(excerpt)
    assert {package: base[package] for package in excerpt} == excerpt
    assert excerpt.keys().isdisjoint(
        {"torch", "flwr", "pytest", "ruff", "mypy", "playwright", "schemathesis", "hatchling"}
    )


def test_torch_is_listed_with_both_builds() -> None:
    hashes = r"sha256:[0-9a-f]{64}"
    (cpu,) = re.findall(hashes, LOCKS["torch-cpu"].read_text("utf-8"))
    torch = re.search(r"^torch==.*(?:\n    --hash.*)+", LOCKS["towers"].read_text("utf-8"), re.MULTILINE)
    assert torch is not None
    listed = re.findall(hashes, torch.group())
    assert cpu in listed
    assert len(listed) > 1


@pytest.mark.parametrize("cap", CAPS)
def test_flowers_caps_hold(cap: str) -> None:
    wanted = Requirement(cap)
    both = pins(LOCKS["base"].read_text("utf-8")) | pins(LOCKS["towers"].read_text("utf-8"))
    assert all(Version(version) in wanted.specifier for version, _ in both[wanted.name])


def test_locks_satisfy_every_extra() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    locked = {name: each for lock in LOCKS.values() for name, each in pins(lock.read_text("utf-8")).items()}
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    for requirement in map(Requirement, wanted):
        name = canonicalize_name(requirement.name)
        if name != "creditmesh":
            assert all(Version(version) in requirement.specifier for version, _ in locked[name]), requirement


def test_readme_and_help_name_only_targets_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    texts = [(ROOT / name).read_text("utf-8") for name in ("README.md", "CHANGELOG.md", "Makefile")]
    texts += [path.read_text("utf-8") for path in sorted((ROOT / "docs").rglob("*.md"))]
    named = {
        name for text in texts for name in re.findall(r"[`'(] *make ([a-z]+)\b|^    make ([a-z]+)", text, re.MULTILINE)
    }
    assert {name for pair in named for name in pair if name} <= targets


def test_readme_says_what_is_not_protected() -> None:
    readme = " ".join((ROOT / "README.md").read_text("utf-8").split())
    for limit in ("the coordinator is trusted to add correctly", "no noise is added", "Nobody can prove"):
        assert limit in readme


def test_scripts_that_make_calls_exist() -> None:
    recipes = re.findall(r"\$\(VENV_PYTHON\) ([\w/]+\.py)", (ROOT / "Makefile").read_text("utf-8"))
    assert recipes
    assert [name for name in recipes if not (ROOT / name).is_file()] == []
