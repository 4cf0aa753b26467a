"""Copies of the tree, and the tests run in them: once with every check marked, then once for each check removed.

Nothing here writes to the tree itself. Theory: the tests are taken to do the same every time (seeds are fixed, no test
sleeps), so a check that no test makes speak up could be missing unseen, and one that some tests do needs only those.
A copy without a check therefore runs these tests, the fastest first, and stops at the first failure.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.probe import REPORT
from tests.mutation.sites import Anchor, Site

__all__ = ["Baseline", "HarnessError", "Suite", "Tree", "Verdict", "digest_of", "take_baseline", "try_without"]

HOME = Path(__file__).resolve().parents[2]
FOLDERS = ("privacy", "risk", "node", "coordinator", "audit", "proto", "tests")
FIRST = 25
BASELINE_SECONDS = 1800


class HarnessError(Exception):
    """The harness itself could not do its work."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What pytest is asked to run: patterns of paths below the root, and its further arguments."""

    paths: tuple[str, ...]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What one run of pytest left behind; ended: how it stopped if not by itself, else empty."""

    failed: tuple[str, ...]
    seconds: dict[str, float]
    ran: dict[str, list[str]]
    spoken: dict[str, list[str]]
    ended: str = ""


@dataclass(frozen=True, slots=True)
class Baseline:
    """Which tests pass with every check in place, how long they take, and which checks they make speak up."""

    failed: tuple[str, ...]
    seconds: dict[str, float]
    ran: dict[str, list[str]]
    spoken: dict[str, list[str]]

    def tests_for(self, site: Site, first: str | None = None) -> list[str]:
        """Return the tests that can tell whether this check is there, the fastest first; `first` before all."""
        found: set[str] = set()
        for anchor in site.anchors:
            found.update((self.spoken if anchor.spoken else self.ran).get(_key(site.path, anchor), ()))
        found -= set(self.failed)
        return sorted(found, key=lambda test: (test != first, self.seconds.get(test, 0.0), test))


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who caught a missing check: a test, a hang or a crash of the run; None if nobody did, of `asked` tests."""

    caught_by: str | None
    asked: int


class Tree:
    """One copy of the tree in a folder of its own."""

    def __init__(self, source: Path, folder: Path) -> None:
        """Copy what the tests need from source to folder."""
        self.folder = folder
        self._serial = 1_000_000_000
        for name in FOLDERS:
            if (source / name).is_dir():
                shutil.copytree(source / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        if (source / "pyproject.toml").exists():
            shutil.copy2(source / "pyproject.toml", folder / "pyproject.toml")

    def write(self, path: str, content: bytes) -> None:
        """Replace a file; its time is never used twice, so no compiled file of an earlier content is taken for it."""
        target = self.folder / path
        target.write_bytes(content)
        self._serial += 2
        os.utime(target, (self._serial, self._serial))

    def run(self, tests: Iterable[str], suite: Suite, seconds: float) -> Report:
        """Run these tests in the copy, in this order, to the first failure or for so many seconds."""
        asked, report = self.folder / "asked.txt", self.folder / "report.json"
        asked.write_text("\n".join([*suite.arguments, *tests]) + "\n", "utf-8")
        report.unlink(missing_ok=True)
        ways = [self.folder, self.folder / "proto", self.folder / "deploy", HOME]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, ways)), REPORT: str(report)}
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", "-p", "tests.mutation.probe", "-p", "no:cacheprovider", f"@{asked}"],
            cwd=self.folder,
            env={**environment, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            return Report((), {}, {}, {}, f"a hang: not over after {seconds:.0f} s")
        finally:
            _end(process)
        if not report.exists():
            if process.returncode < 0:
                return Report((), {}, {}, {}, f"a crash: signal {-process.returncode}")
            raise HarnessError(f"pytest did not run: {output.decode('utf-8', 'replace')[-2000:]}")
        found = json.loads(report.read_text("utf-8"))
        return Report(tuple(found["failed"]), found["seconds"], found["ran"], found["spoken"])


def digest_of(root: Path) -> str:
    """Return a digest of everything that a copy holds, the harness aside."""
    whole = hashlib.sha256(sys.version.encode())
    for name in FOLDERS:
        for path in sorted((root / name).rglob("*")):
            inside = path.relative_to(root).as_posix()
            if path.is_file() and "__pycache__" not in inside and not inside.startswith("tests/mutation/"):
                whole.update(hashlib.sha256(inside.encode()).digest() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def take_baseline(root: Path, folder: Path, suite: Suite, sites: list[Site]) -> Baseline:
    """Run the whole suite in a copy in which every check is marked."""
    tree = Tree(root, folder)
    for path in {site.path for site in sites}:
        anchors = {anchor for site in sites if site.path == path for anchor in site.anchors}
        tree.write(path, _marked(path, (root / path).read_bytes(), anchors))
    present = [path.relative_to(root).as_posix() for each in suite.paths for path in sorted(root.glob(each))]
    report = tree.run(present, suite, BASELINE_SECONDS)
    if report.ended or not report.seconds:
        raise HarnessError(f"the suite does not run with every check in place: {report.ended or 'nothing ran'}")
    return Baseline(report.failed, report.seconds, report.ran, report.spoken)


def try_without(site: Site, tree: Tree, source: bytes, tests: list[str], seconds: dict[str, float]) -> Verdict:
    """Run the tests that can tell in a copy without this check."""
    tree.write(site.path, site.remove(source))
    try:
        for some in (tests[:FIRST], tests[FIRST:]):
            if not some:
                continue
            limit = 60 + 10 * sum(seconds.get(test, 1.0) for test in some)
            report = tree.run(some, Suite((), ("-x", "--hypothesis-seed=0")), limit)
            if report.ended or report.failed:
                return Verdict(report.ended or report.failed[0], len(tests))
            if not report.seconds:
                raise HarnessError(f"none of {len(some)} tests ran for {site.name}")
    finally:
        tree.write(site.path, source)
    return Verdict(None, len(tests))


def _marked(path: str, source: bytes, anchors: set[Anchor]) -> bytes:
    for offset in sorted({anchor.offset for anchor in anchors}, reverse=True):
        mark = f'with __import__("tests.mutation.probe", fromlist=["watch"]).watch("{path}:{offset}"): '
        source = source[:offset] + mark.encode() + source[offset:]
    return source


def _key(path: str, anchor: Anchor) -> str:
    return f"{path}:{anchor.offset}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdout:
        process.stdout.close()
