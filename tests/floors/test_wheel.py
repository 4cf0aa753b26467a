"""The wheel holds our packages and nothing else, and the auditor's tool runs with cryptography alone."""

import subprocess
import sys
import sysconfig
import zipfile
from fnmatch import fnmatch
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.floors.tree import PACKAGES, ROOT


def wheel_findings(names: list[str]) -> list[str]:
    """List what a wheel holds and should not, and which of our packages it lacks."""
    tops = {name.split("/")[0] for name in names}
    records = {top for top in tops if top.startswith("creditmesh-") and top.endswith(".dist-info")}
    foreign = tops - records - set(PACKAGES)
    return [f"holds {top}" for top in sorted(foreign)] + [f"lacks {top}" for top in sorted(set(PACKAGES) - tops)]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_wheel_holds_exactly_our_packages(wheel: Path) -> None:
    assert wheel_findings(zipfile.ZipFile(wheel).namelist()) == []


def test_wheel_holds_every_file_of_our_packages(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for name, folder in PACKAGES.items():
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                assert f"{name}/{path.relative_to(ROOT / folder).as_posix()}" in names


# What a program reads from beside its code; without one of them it starts and then fails at somebody's click.
CARRIED = (
    "coordinator/console/templates/*.j2",
    "coordinator/console/static/*.js",
    "coordinator/console/static/*.css",
    "coordinator/console/static/vendor/*.min.js",
    "coordinator/console/static/vendor/*LICENSE.txt",
    "coordinator/console/texts/*.toml",
    "coordinator/migrations/versions/*.py",
    "node/page/templates/*.j2",
    "node/page/bank_en.toml",
    "node/page/bank_zh.toml",
    "node/page/static/*.svg",
    "node/page/words_en.toml",
    "node/page/words_zh.toml",
    "node/page/static/*.css",
    "creditmesh_demo/room_schema.toml",
    "creditmesh_demo/bank_connectors.toml",
    "creditmesh_demo/page/templates/*.j2",
)


@pytest.mark.parametrize("pattern", CARRIED)
def test_wheel_carries_what_is_read_at_run_time(wheel: Path, pattern: str) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if fnmatch(name, pattern)], pattern


@pytest.mark.parametrize(
    "extra", ["tests/conftest.py", "deploy/node.Dockerfile", "proto/creditmesh_wire/x.py", "stray.py"]
)
def test_a_planted_file_is_found(extra: str) -> None:
    ours = [f"{name}/__init__.py" for name in PACKAGES]
    assert wheel_findings([*ours, "creditmesh-0.1.0.dist-info/METADATA"]) == []
    assert wheel_findings([*ours, extra]) == [f"holds {extra.split('/')[0]}"]
    assert wheel_findings(ours[1:]) == [f"lacks {ours[0].split('/')[0]}"]


def test_base_dependency_is_cryptography_alone(wheel: Path) -> None:
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
    lines = archive.read(name).decode("utf-8").splitlines()
    required = [Requirement(line.split(":", 1)[1]) for line in lines if line.startswith("Requires-Dist:")]
    assert [each.name for each in required if each.marker is None or each.marker.evaluate({"extra": ""})] == [
        "cryptography"
    ]


def auditor_site(wheel: Path, site: Path) -> list[str]:
    """Lay out what `pip install creditmesh` brings, without a network; return the interpreter's whole path."""
    zipfile.ZipFile(wheel).extractall(site)
    for name in ("cryptography", "cffi", "pycparser"):
        for file in metadata.distribution(name).files or []:
            source, target = Path(str(file.locate())), site / file
            if ".." not in file.parts and source.suffix != ".pyc" and source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                target.symlink_to(source)
    return [sysconfig.get_path("stdlib"), sysconfig.get_config_var("DESTSHARED"), str(site)]


def run_alone(path: list[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in an interpreter that sees these folders and nothing else: no site-packages, no environment."""
    start = f"import sys; sys.path[:] = {path!r}; {code}"
    command = [sys.executable, "-I", "-S", "-c", start]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=path[-1])


def test_auditors_tool_runs_with_cryptography_alone(wheel: Path, tmp_path: Path) -> None:
    path = auditor_site(wheel, tmp_path)
    entry = "sys.argv = ['creditmesh-audit', '--help']; import audit.cli; sys.exit(audit.cli.main())"
    done = run_alone(path, entry)
    assert done.returncode == 0, done.stderr
    assert "creditmesh-audit" in done.stdout


def test_the_auditors_room_has_no_other_package(wheel: Path, tmp_path: Path) -> None:
    path = auditor_site(wheel, tmp_path)
    assert run_alone(path, "import cryptography.x509, privacy.log.tree").returncode == 0
    for name in ("numpy", "grpc", "google.protobuf", "pydantic", "pytest"):
        assert "ModuleNotFoundError" in run_alone(path, f"import {name}").stderr
