"""Time boosted trees over real processes beside xgboost's own federated mode, in one run on one machine.

    python -m tests.bench.trees_race [--rows 50000] [--trees 50] [--depth 5]

Five banks, thirty fields, the same drawn rows for both. xgboost's time is that of its slowest worker's training, from
its script, where that is at hand and the build of xgboost has that mode (XGBOOST_PYTHON names another interpreter);
ours is a whole job once all members are connected: cuts, labels, three forests for the private heads, hold-out. It is
run by default and with more steps in flight (`staleness`), which costs accuracy: the hold-out's AUC is printed beside.
xgboost's sums cross in the clear, ours are masked, recorded and recomputed.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from creditmesh_demo.folders import RunFolders, write_node_settings
from creditmesh_demo.founding import found
from creditmesh_demo.room_folder import RoomFolder

from risk.catalogue import recipe

THEIRS = Path(__file__).resolve().parents[2].parent / "shared" / "bench" / "xgb_federated.py"
DIMENSIONS = ("operating", "credit", "behaviour", "scenario")
STALENESS = int(recipe("trees").parse_parameters({})["staleness"])
BANKS = ("alpha", "beta", "gamma", "delta", "epsilon")


def drawn(rows: int, fields: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features (rows, fields) float64 and labels (rows,): a linear part and two interactions."""
    rng = np.random.default_rng(7)
    features = rng.standard_normal((rows, fields)).astype(np.float32)
    weights = rng.standard_normal(fields) * (rng.random(fields) < 0.6)
    logit = features @ weights * 0.6 + 0.7 * features[:, 0] * features[:, 1]
    logit += -0.5 * (features[:, 2] > 0) * features[:, 3] - 2.2
    return features.astype(np.float64), (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int64)


def write_room(folder: Path, rows: int, fields: int, test: int) -> RoomFolder:
    """Write the rows but the last `test` ones to five banks' files, in turn."""
    folder.mkdir()
    features, labels = drawn(rows, fields)
    parts = [
        'name = "race"\nversion = 1\ntitle = "race"\nsource = "drawn here"\n[target]\nfield = "bad"\nmeaning = "1"\n'
    ]
    for number in range(fields):
        parts.append(
            f'[[field]]\nname = "x{number}"\ndimension = "{DIMENSIONS[number % 4]}"\ntype = "number"\nunit = "none"\n'
            'bounds = [-8, 8]\nrisk_when_rising = "free"\ntext = "a number"\n'
        )
    (folder / "schema.toml").write_text("".join(parts))
    head = ",".join([*(f"x{number}" for number in range(fields)), "bad"])
    for turn, bank in enumerate(BANKS):
        own = np.arange(turn, rows - test, len(BANKS))
        lines = (",".join([*map(repr, features[row].tolist()), str(labels[row])]) for row in own)
        (folder / f"{bank}.csv").write_text("\n".join([head, *lines]) + "\n")
    return RoomFolder("race", folder / "schema.toml", {bank: folder / f"{bank}.csv" for bank in BANKS}, ())


def ours(options: argparse.Namespace, staleness: int) -> dict[str, float]:
    """Run one job over six processes; return its seconds, sums, megabytes a bank and tree, and AUC."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as temporary:
        run = RunFolders(Path(temporary) / "run", BANKS)
        data = write_room(Path(temporary) / "room", options.rows, options.fields, options.test)
        found(run)
        children: list[subprocess.Popen[bytes]] = []
        commands = Path(sys.executable).parent

        def start(program: str, settings: Path) -> None:
            output = (settings.parent / "output").open("wb")
            command = [str(commands / program), "run", "--config", str(settings)]
            children.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))

        try:
            settings, journal = run.coordinator / "coordinator.toml", run.coordinator / "output"
            start("creditmesh-coordinator", settings)
            listening = run.coordinator / "listening.json"
            _until(listening.exists, children)
            write_node_settings(run, data, json.loads(listening.read_text())["grpc"], ["trees"])
            for folder in run.nodes.values():
                start("creditmesh-node", folder / "node.toml")
            # The other's clock starts when its workers have met.
            _until(lambda: journal.read_text().count('"member_connected"') == len(BANKS), children)
            job = _write_job(run, data, options, staleness)
            submit = [str(commands / "creditmesh-coordinator"), "submit", str(job), "--config", str(settings)]
            subprocess.run(submit, check=True, stdout=subprocess.DEVNULL)
            _until(lambda: any(run.coordinator.glob("jobs/*/outcome.json")), children)
            (path,) = run.coordinator.glob("jobs/*/outcome.json")
            outcome = json.loads(path.read_text())
        finally:
            for child in children:
                child.terminate()
            for child in children:
                child.wait(timeout=20)
    return _figures(outcome, options.trees)


def _write_job(run: RunFolders, data: RoomFolder, options: argparse.Namespace, staleness: int) -> Path:
    chosen = {"trees": options.trees, "depth": options.depth, "rate_ppm": 100_000, "choose_count": 0}
    job = run.coordinator / "job.toml"
    job.write_text(
        f'[job]\nrecipe = "trees"\nschema = {json.dumps(str(data.schema))}\nholdout = 0.05\n[parameters]\n'
        + "".join(f"{name} = {value}\n" for name, value in {**chosen, "staleness": staleness}.items())
    )
    return job


def _figures(outcome: dict[str, Any], trees: int) -> dict[str, float]:
    if outcome["state"] != "done":
        raise SystemExit(f"bench: the job failed: {outcome['reason']}")
    return {
        "seconds": outcome["seconds"],
        "sums": outcome["sums"],
        "round_ms": outcome["round_ms_median"],
        "mb_per_tree": max(outcome["upload_bytes"].values()) / trees / 1e6,
        "auc": outcome["metrics"]["auc"],
    }


def _until(ready, children) -> None:  # type: ignore[no-untyped-def]  # any callable, any processes
    deadline = time.monotonic() + 300
    while not ready():
        dead = [child for child in children if child.poll() is not None]
        if dead or time.monotonic() > deadline:
            raise SystemExit(f"bench: a process ended early or nothing came in 300 s ({len(dead)} ended)")
        time.sleep(0.05)


def theirs(options: argparse.Namespace) -> str:
    """Return what xgboost's federated mode takes for the same, or why it was not run."""
    if not THEIRS.exists():
        return "not run: its script is not here"
    python = os.environ.get("XGBOOST_PYTHON", sys.executable)
    asked = "import sklearn, xgboost; assert xgboost.build_info()['USE_FEDERATED']"
    if subprocess.run([python, "-c", asked], capture_output=True, check=False).returncode:
        return "not run: no xgboost with its federated mode, or no scikit-learn, is installed"
    sizes = {"rows": options.rows, "cols": options.fields, "trees": options.trees, "depth": options.depth}
    arguments = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    done = subprocess.run([python, str(THEIRS), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        return "not run: its script failed"
    found_there = json.loads(done.stdout)
    mb = found_there["bytes_up_per_tree"] / 1e6
    return f"{found_there['train_s_slowest_worker']:.2f} s, {mb:.2f} MB a tree and bank"


def main() -> None:
    """Run both and print the two lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in {"rows": 50_000, "fields": 30, "trees": 50, "depth": 5, "test": 10_000}.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}; {options.trees} trees of depth {options.depth}, five banks", flush=True)
    print(f"xgboost federated, histograms in the clear: {theirs(options)}", flush=True)
    for staleness in (STALENESS, options.depth - 1):
        got = ours(options, staleness)
        print(f"creditmesh, masked and recorded, staleness {staleness}: {got['seconds']:.2f} s, "
              f"{got['mb_per_tree']:.2f} MB a tree and bank, {got['sums']} sums of {got['round_ms']:.0f} ms, "
              f"AUC {got['auc']:.4f}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
