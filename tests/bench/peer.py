"""One process of the bench: the product's own node or coordinator with a recipe that only adds vectors.

    python peer.py coordinator|node SETTINGS LENGTH WORD_BITS ROUNDS

Everything but the recipe is the product: mutual TLS, signatures, masks, the gate's record before each send, the log,
receipts, the database. The vectors are drawn once, so that what is timed is the sum.
"""

import importlib
import json
import resource
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from risk.recipe import Ask

BOUND = 2**20


def requests(length: int, word_bits: int, rounds: int) -> Generator[Ask, np.ndarray, None]:
    """Ask for the same kind of vector again and again."""
    for number in range(rounds):
        yield Ask(
            recipe="scorecard/1", part="full", name=f"bench-{number}", rows="train", length=length,
            word_bits=64 if word_bits == 64 else 32, bound=BOUND, row_linf=1, row_l1=1,
        )  # fmt: skip


def cpu_s() -> float:
    """Return this process's CPU seconds so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def node(settings: Path, length: int, word_bits: int, rounds: int) -> int:
    """Run a node that contributes a fixed vector, and write its CPU seconds a round beside its settings."""
    seat: Any = importlib.import_module("node.seat")
    service: Any = importlib.import_module("node.service")
    part = np.random.default_rng(length).integers(-BOUND, BOUND, length)
    marks: list[float] = []

    def contribute(_ask: Ask, _book: Any) -> np.ndarray:
        marks.append(cpu_s())
        return part

    seat.rounds = lambda _spec: requests(length, word_bits, rounds)
    seat.contribute = contribute
    service.write_result = lambda *_: (settings.parent / "cpu.json").write_text(json.dumps(marks))
    return int(importlib.import_module("node.cli").main(["run", "--config", str(settings)]))


def coordinator(settings: Path, length: int, word_bits: int, rounds: int) -> int:
    """Run a coordinator for the same requests, and write each round's wall time and CPU."""
    clerk: Any = importlib.import_module("coordinator.clerk")
    marks: list[tuple[float, float]] = []
    note = clerk.Clerk._note_round

    def noted(self: Any, record: Any) -> None:
        if record.state == "opened":
            marks.append((record.elapsed_ms, cpu_s()))
        note(self, record)

    def write(_state: Path, _store: Any, ending: Any, session: Any, _learned: Any) -> None:
        figures = {"state": ending.state, "reason": ending.reason, "rounds": marks, "ended": time.time()}
        figures["bytes"] = session.tally.upload_bytes if session else {}
        (settings.parent / "bench.json").write_text(json.dumps(figures))

    clerk.Clerk._note_round = noted
    clerk.rounds = lambda _spec: requests(length, word_bits, rounds)
    clerk.write_outcome = write
    return int(importlib.import_module("coordinator.cli").main(["run", "--config", str(settings)]))


if __name__ == "__main__":
    role, path, *numbers = sys.argv[1:]
    sys.exit({"node": node, "coordinator": coordinator}[role](Path(path), *map(int, numbers)))
