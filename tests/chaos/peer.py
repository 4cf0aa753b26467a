"""One process of a chaos run: the product's node or coordinator, on a line that misbehaves.

    python -m tests.chaos.peer coordinator|node SETTINGS SEED ROUNDS

The recipe only adds vectors that follow from member and round, so anybody can say what a sum must be. On a node, frames
of the link are now and then sent twice, out of order or late, and the stream is cut; the process itself is killed from
outside. Everything else is the product.
"""

import asyncio
import hashlib
import importlib
import json
import random
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np

from risk.recipe import Ask

BOUND = 2**20
LENGTH = 2_000


def part_of(member: str, round_name: str) -> np.ndarray:
    """Return a member's part of a round, (LENGTH,) int64; the same for whoever asks."""
    seed = int.from_bytes(hashlib.sha256(f"{member}/{round_name}".encode()).digest()[:8], "big")
    return np.random.default_rng(seed).integers(-BOUND, BOUND, LENGTH)


def requests(rounds: int) -> Generator[Ask, np.ndarray, None]:
    """Ask for one vector a round; each request depends on the sum before it, as a recipe's do."""
    digest = ""
    for number in range(1, rounds + 1):
        total = yield Ask(
            recipe="scorecard/1", part="full", name=f"chaos-{number}", rows="train", length=LENGTH, word_bits=64,
            bound=BOUND, row_linf=1, row_l1=1, parameters={"after": digest},
        )  # fmt: skip
        digest = hashlib.sha256(total.tobytes()).hexdigest()


def node(settings: Path, seed: int, rounds: int) -> int:
    """Run a node on a bad line."""
    seat: Any = importlib.import_module("node.seat")
    service: Any = importlib.import_module("node.service")
    seat.rounds = lambda _spec: requests(rounds)
    seat.contribute = lambda ask, book: part_of(book.table.member, ask.name)
    service.write_result = lambda _state, how, _seat: (settings.parent / "ended").write_text(how)
    _spoil_frames(random.Random(f"{seed}/{settings.parent.name}"))
    return int(importlib.import_module("node.cli").main(["run", "--config", str(settings)]))


def _spoil_frames(chance: random.Random) -> None:
    """Send frames twice, swapped or late, and cut the stream, each a little."""
    link = importlib.import_module("node.grpc_link").GrpcLink
    put = link._put
    held: list[tuple[bytes, bool]] = []

    async def spoiled(self: Any, call: Any, frame: bytes, *, is_control: bool) -> None:
        draw = chance.random()
        if draw < 0.002:
            call.cancel()
        elif draw < 0.05:
            await asyncio.sleep(chance.uniform(0.0, 0.05))
        elif draw < 0.055:
            await put(self, call, frame, is_control=is_control)
        elif draw < 0.06:
            held.append((frame, is_control))
            return
        await put(self, call, frame, is_control=is_control)
        while held:
            late, was_control = held.pop()
            await put(self, call, late, is_control=was_control)

    link._put = spoiled


def coordinator(settings: Path, _seed: int, rounds: int) -> int:
    """Run a coordinator that notes every sum it opens and how the job ended."""
    clerk: Any = importlib.import_module("coordinator.clerk")
    session: Any = importlib.import_module("coordinator.session")
    aggregator = session.Aggregator
    finish = aggregator.finish

    def noted(self: Any) -> Any:
        result = finish(self)
        opened = self.opened[-1].opened
        line = {"round": opened.round, "epoch": opened.epoch, "position": opened.position,
                "survivors": opened.survivors, "sha256": hashlib.sha256(result.tobytes()).hexdigest()}  # fmt: skip
        with (settings.parent / "sums.jsonl").open("a") as stream:
            stream.write(json.dumps(line) + "\n")
        return result

    def write(_state: Path, _store: Any, ending: Any, _session: Any, _learned: Any) -> None:
        (settings.parent / "ending.json").write_text(json.dumps({"state": ending.state, "reason": ending.reason}))

    aggregator.finish = noted
    clerk.rounds = lambda _spec: requests(rounds)
    clerk.write_outcome = write
    return int(importlib.import_module("coordinator.cli").main(["run", "--config", str(settings)]))


if __name__ == "__main__":
    role, path, *numbers = sys.argv[1:]
    sys.exit({"node": node, "coordinator": coordinator}[role](Path(path), *map(int, numbers)))
