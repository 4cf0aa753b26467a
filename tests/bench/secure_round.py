"""Time whole secure rounds over real processes, beside Flower's SecAgg+ where its script is at hand.

    python tests/bench/secure_round.py [--members 5] [--rounds 12] [--lengths 20000 100000 1000000]

One coordinator and n nodes, each a process, mutual TLS on loopback, every message recorded before it is sent. Printed
for each length: wall time of a round (median), CPU a node and at the coordinator, bytes a member beside the bare
vector, and the same divided by the floor (keystream of n - 1 pair masks and one self-mask, and their addition), which
is measured in this run. Absolute times depend on the machine; the ratios are what counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from creditmesh_demo.folders import RunFolders, write_node_settings
from creditmesh_demo.founding import found
from creditmesh_demo.room_folder import RoomFolder

from privacy.mask import apply_masks

PEER = Path(__file__).with_name("peer.py")
FLOWER = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "flower_secagg_cpu.py"
SCHEMA = """
name = "bench"
version = 1
title = "bench"
source = "made here"
[target]
field = "bad"
meaning = "1 = bad"
[[field]]
name = "x"
dimension = "credit"
type = "number"
unit = "none"
bounds = [0, 1]
risk_when_rising = "up"
text = "a number"
"""
JOB = '[job]\nrecipe = "scorecard"\nschema = {schema}\n'


def room(folder: Path, members: tuple[str, ...]) -> RoomFolder:
    """Write a room of tiny tables; the bench adds vectors of its own."""
    folder.mkdir()
    (folder / "schema.toml").write_text(SCHEMA)
    rows = "x,bad\n" + "".join(f"0.{number % 10},{number % 2}\n" for number in range(200))
    for member in members:
        (folder / f"{member}.csv").write_text(rows)
    return RoomFolder("bench", folder / "schema.toml", {member: folder / f"{member}.csv" for member in members}, ())


def floor_ms(length: int, word_bits: int, masks: int) -> float:
    """Return the CPU milliseconds of `masks` keystreams added to one vector, the best of five."""
    words = np.zeros(length, dtype=np.uint32 if word_bits == 32 else np.uint64)
    keys = [os.urandom(32) for _ in range(masks)]
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        apply_masks(words, keys, [])
        best = min(best, time.process_time() - start)
    return best * 1000


def measure(members: int, length: int, word_bits: int, rounds: int) -> dict[str, float]:
    """Run one job of `rounds` sums over real processes; return medians."""
    names = tuple(f"bank-{number:03d}" for number in range(members))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolders(Path(temporary) / "run", names)
        data = room(Path(temporary) / "room", names)
        found(run)
        children = []
        numbers = [str(length), str(word_bits), str(rounds)]

        def start(role: str, settings: Path) -> None:
            with (settings.parent / "output").open("wb") as output:
                command = [sys.executable, str(PEER), role, str(settings), *numbers]
                children.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))

        try:
            start("coordinator", run.coordinator / "coordinator.toml")
            listening = run.coordinator / "listening.json"
            _until(listening.exists, children)
            write_node_settings(run, data, json.loads(listening.read_text())["grpc"], ["scorecard"])
            for folder in run.nodes.values():
                start("node", folder / "node.toml")
            job = run.coordinator / "job.toml"
            job.write_text(JOB.format(schema=json.dumps(str(data.schema))))
            command = [str(Path(sys.executable).with_name("creditmesh-coordinator")), "submit", str(job), "--config"]
            subprocess.run([*command, str(run.coordinator / "coordinator.toml")], check=True, stdout=subprocess.DEVNULL)
            done = [run.coordinator / "bench.json", *(folder / "cpu.json" for folder in run.nodes.values())]
            _until(lambda: all(path.exists() for path in done), children)
            return _figures([json.loads(path.read_text()) for path in done], length * word_bits // 8)
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(timeout=20)


def _until(ready, children) -> None:  # type: ignore[no-untyped-def]  # any callable, any processes
    deadline = time.monotonic() + 180
    while not ready():
        dead = [child for child in children if child.poll() is not None]
        if dead or time.monotonic() > deadline:
            raise SystemExit(f"bench: a process ended early or nothing came in 180 s ({len(dead)} ended)")
        time.sleep(0.05)


def _figures(documents: list, vector_bytes: int) -> dict[str, float]:  # type: ignore[type-arg]  # parsed JSON
    coordinator, *nodes = documents
    if coordinator["state"] != "done":
        raise SystemExit(f"bench: the job failed: {coordinator['reason']}")
    walls = [wall for wall, _ in coordinator["rounds"]][2:]
    steps = np.diff([cpu for _, cpu in coordinator["rounds"]])[2:]
    per_node = [statistics.median(np.diff(marks)[2:]) for marks in nodes]
    sent = statistics.mean(coordinator["bytes"].values()) / len(coordinator["rounds"])
    return {
        "wall_ms": statistics.median(walls),
        "node_cpu_ms": statistics.median(per_node) * 1000,
        "coordinator_cpu_ms": statistics.median(steps) * 1000,
        "bytes": sent,
        "bytes_ratio": sent / vector_bytes,
    }


def flower(members: int, length: int) -> str:
    """Return what Flower's SecAgg+ costs in CPU for the same size, or why it was not run."""
    if not FLOWER.exists():
        return "not run: its script is not here"
    command = [sys.executable, str(FLOWER), "--n", str(members), "--d", str(length)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return "not run: flwr is not installed"
    (run,) = json.loads(done.stdout)["runs"]
    return f"client {run['client_cpu_s_total'] * 1e3:.1f} ms, server {run['server_cpu_s_total'] * 1e3:.1f} ms CPU"


def main() -> None:
    """Measure each length with words of 32 and 64 bits and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--lengths", type=int, nargs="+", default=[20_000, 100_000, 1_000_000])
    options = parser.parse_args()
    print(f"{options.members} nodes and a coordinator, {options.rounds} rounds each, load {os.getloadavg()[0]:.1f}")
    print(f"{'entries':>9} {'word':>4} {'wall ms':>8} {'node ms':>8} {'coord ms':>8} {'floor ms':>8} "
          f"{'node/floor':>10} {'bytes/vector':>12}")  # fmt: skip
    for length in options.lengths:
        for word_bits in (32, 64):
            got = measure(options.members, length, word_bits, options.rounds)
            floor = floor_ms(length, word_bits, options.members)
            print(f"{length:>9} {word_bits:>4} {got['wall_ms']:>8.1f} {got['node_cpu_ms']:>8.1f} "
                  f"{got['coordinator_cpu_ms']:>8.1f} {floor:>8.2f} {got['node_cpu_ms'] / floor:>10.1f} "
                  f"{got['bytes_ratio']:>12.4f}", flush=True)  # fmt: skip
        print(f"{'':>9} Flower's SecAgg+, in one process: {flower(options.members, length)}", flush=True)


if __name__ == "__main__":
    main()
