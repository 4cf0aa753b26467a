"""What holds for every test: one thread a library, no network beyond this machine, no property judged by time."""

import os
import re
import sys
from pathlib import Path

# Before numpy or torch is imported anywhere: several test processes share few cores.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import hypothesis
import pytest

__all__: list[str] = []

# The same examples in every run: a merge is judged by its change, not by chance. `make explore` draws others.
hypothesis.settings.register_profile("house", deadline=None, print_blob=True, derandomize=True, database=None)
# `make fast` asks for this one: a property that breaks mostly breaks within few examples.
hypothesis.settings.register_profile(
    "fast", deadline=None, print_blob=True, derandomize=True, database=None, max_examples=20
)
hypothesis.settings.register_profile("explore", deadline=None, print_blob=True)
hypothesis.settings.load_profile("house")


# Loads torch or Flower, starts processes, runs whole jobs, trains on whole rooms, tries every place of a message, or
# draws the report: more than a save should wait for.
_SLOW = re.compile(
    r"tower|flower|audit/test_cli\.py"
    r"|test_(session|session_spool|job|bank|scorecard|evaluation|page|points|log_store|places|processes|progress|replay|clerk|report|self_check)\.py"
)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave slow files unread in `make fast`: reading them imports torch and matplotlib."""
    leaves_out = config.getoption("markexpr") == "not slow"
    return True if leaves_out and _SLOW.search(_inside(collection_path)) else None


@pytest.fixture(scope="session", autouse=True)
def _state_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep what the auditor's tool remembers between runs out of the home of whoever runs the tests."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state-home"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what `make fast` leaves to `make test`, and put the networks of processes first: they take longest.

    Workers take whole files (`--dist loadfile`), so that what a file's tests share is made once.
    """
    for item in items:
        if _SLOW.search(_inside(item.path)):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not _inside(item.path).startswith("e2e/"))


def _inside(path: Path) -> str:
    return path.as_posix().rpartition("/tests/")[2]


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    # gRPC's own sockets do not pass here; its tests bind and dial loopback addresses only.
    if event != "socket.connect":
        return
    address = arguments[1]
    host = address[0] if isinstance(address, tuple) else None
    if isinstance(host, str) and host not in {"127.0.0.1", "::1", "localhost"}:
        raise RuntimeError(f"a test tried to reach {host}; tests stay on this machine")


sys.addaudithook(_refuse_network)
