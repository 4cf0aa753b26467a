"""A pytest plugin: note which tests ran, which failed, and which made a marked statement run or speak up.

It judges nothing. Marked statements call `watch`; whatever does so outside of a test (a fixture of a module counts for
the test that asked for it first, a child process for nobody) is noted for no test.
"""

import json
import os
from pathlib import Path
from types import TracebackType

import pytest

__all__ = ["REPORT", "watch"]

REPORT = "CREDITMESH_MUTATION_REPORT"

_ran: dict[str, set[str]] = {}
_spoken: dict[str, set[str]] = {}
_failed: list[str] = []
_seconds: dict[str, float] = {}
_test = ""


class watch:  # a context manager, written like a function
    """Note that a statement ran, and whether an exception left it."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        if _test:
            _ran.setdefault(self._key, set()).add(_test)

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if _test and kind is not None:
            _spoken.setdefault(self._key, set()).add(_test)


def pytest_runtest_logstart(nodeid: str) -> None:
    """Remember the test that runs from now on."""
    global _test
    _test = nodeid


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test's time, and whether it failed."""
    _seconds[report.nodeid] = _seconds.get(report.nodeid, 0.0) + report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_runtest_logfinish() -> None:
    """Forget the test."""
    global _test
    _test = ""


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note a file that cannot be imported any more."""
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write everything down."""
    path = os.environ.get(REPORT)
    if path:
        found = {
            "failed": _failed,
            "seconds": _seconds,
            "ran": {key: sorted(tests) for key, tests in _ran.items()},
            "spoken": {key: sorted(tests) for key, tests in _spoken.items()},
        }
        Path(path).write_text(json.dumps(found), "utf-8")
