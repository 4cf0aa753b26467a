"""What epsilon costs in accuracy, on real rooms: `python -m tests.bench.privacy_price ROOM [ROOM ...]`.

Options: --epsilons 1,3,8 --seeds 5 --draws 1 --recipes scorecard. Every seed has its own keyed split, on which the
exact recipe is trained too; noise is the product's, in shares, for as many banks as the room has. Printed are means
over seeds of AUC on all hold-out rows, the loss against the exact recipe, and the loss without secure aggregation.
"""

import argparse
import hmac
import os
import sys
import time
from functools import partial
from pathlib import Path
from statistics import fmean

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "deploy"))

from creditmesh_demo.privacy_price import Price, price
from creditmesh_demo.room_folder import open_room

from node.dataset import read_dictionary
from node.source import read_table
from risk.catalogue import recipe
from risk.job import Book, JobSpec


def main() -> int:
    """Print one table a room and recipe."""
    parser = argparse.ArgumentParser(prog="privacy_price")
    parser.add_argument("rooms", nargs="+", type=Path)
    parser.add_argument("--epsilons", default="1,3,8")
    parser.add_argument("--recipes", default="scorecard")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--draws", type=int, default=1)
    options = parser.parse_args()
    for room in options.rooms:
        for name in options.recipes.split(","):
            started = time.monotonic()
            prices = [_price(room, name, seed, options) for seed in range(options.seeds)]
            _print(room.name, name, prices, time.monotonic() - started)
    return 0


def _price(folder: Path, name: str, seed: int, options: argparse.Namespace) -> Price:
    room = open_room(folder)
    dictionary = read_dictionary(room.schema)
    found = recipe(name)
    parameters = found.parse_parameters({})
    spec = JobSpec(name, found.version, parameters, dictionary, len(room.tables), 2**20, seed, 300_000, 1)
    books = {}
    for bank, path in room.tables.items():
        table = read_table(path, dictionary, bank)
        books[bank] = Book(table, spec, partial(_drawn, f"split of {bank}".encode()))
    return price(books, spec, options.epsilons.split(","), options.draws)


def _drawn(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _print(room: str, name: str, prices: list[Price], seconds: float) -> None:
    exact = fmean(item.exact or 0.0 for item in prices)
    print(f"{room}, {name}: {len(prices)} seeds in {seconds:.0f} s; without noise AUC {exact:.4f}")
    if prices[0].reason:
        print(f"  {prices[0].reason}")
    for place, point in enumerate(prices[0].points):
        area = fmean(item.points[place].auc for item in prices)
        alone = fmean(item.points[place].alone for item in prices)
        losses = ", ".join(f"{(item.exact or 0.0) - item.points[place].auc:+.4f}" for item in prices)
        print(
            f"  epsilon {point.epsilon:>4}  multiplier {point.multiplier / 1e6:.3f}  AUC {area:.4f}  loss"
            f" {exact - area:+.4f} ({losses})  without secure aggregation {exact - alone:+.4f}"
        )


if __name__ == "__main__":
    sys.exit(main())
