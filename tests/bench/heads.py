"""What a bank's head is worth: own, network, mixed and chosen AUC on a bank's own customers, by rows that it has.

    python -m tests.bench.heads [ROOM …] [--seeds 0 1 2 3 4] [--recipes scorecard trees]

ROOM is a data room's folder. In one process on plain sums, by the product's own code: for every bank a network is
trained without it, and the bank gets 50, 100, 300, 1 000 or all of its training rows (`newcomer`); then all banks train
together and each has all its rows (`member`). Every line is a mean over the banks that have so many rows, and over the
seeds. Own scorecard and own trees stand side by side, since a bank would take the better one; the last column is chosen
minus the better of own (of this recipe) and network.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from node.dataset import read_dictionary
from node.source import read_table
from risk.bank import bank_result
from risk.catalogue import recipe
from risk.job import Book, JobOutcome, JobSpec, contribute, rounds
from risk.newcomer import newcomer_steps
from risk.recipe import Ask, run_plain

__all__ = ["Figures", "figures_of", "print_figures"]

SIZES = (50, 100, 300, 1000)
HEADING = f"{'room':12} {'recipe':10} {'view':9} {'rows':>6} {'cases':>5}"
COLUMNS = ("own", "network", "mixed", "chosen")


@dataclass(frozen=True, slots=True)
class Figures:
    """Hold one bank's AUCs with so many rows (0 = all), with the network of the others or as a member of it."""

    recipe: str
    view: str
    rows: int
    seed: int
    bank: str
    areas: tuple[float, float, float, float]


def figures_of(room: Path, names: Sequence[str], seeds: Sequence[int]) -> list[Figures]:
    """Return the figures of every bank of a room that has both classes in its hold-out."""
    dictionary = read_dictionary(room / "schema.toml")
    paths = sorted(path for path in room.iterdir() if path.suffix in (".csv", ".parquet"))
    tables = [read_table(path, dictionary, path.stem) for path in paths]
    found = []
    for seed in seeds:
        for name in names:
            chosen = recipe(name)
            parameters = chosen.parse_parameters({})
            spec = JobSpec(name, chosen.version, parameters, dictionary, len(tables), 1 << 20, seed, 300_000)
            found += _one_job([Book(table, spec) for table in tables], spec)
    return found


def _one_job(books: Sequence[Book], spec: JobSpec) -> list[Figures]:
    found = []
    whole = _trained(books, spec)
    for book in books:
        result = bank_result(book, whole)
        areas = {"own": result.auc_own, "network": result.auc_network, "mixed": result.auc_mixed}
        found += _kept(book, "member", 0, [*areas.values(), areas[result.chosen]])
        others = [other for other in books if other is not book]
        network = _trained(others, replace(spec, members=len(others))).model
        everything = len(book.rows("train"))
        sizes = [*(size for size in SIZES if size <= everything), everything]
        for step in newcomer_steps(book, network, sizes):
            rows = 0 if step.rows == everything and step.rows not in SIZES else step.rows
            found += _kept(book, "newcomer", rows, [step.own, step.network, step.mixed, step.taken])
    return found


def _trained(books: Sequence[Book], spec: JobSpec) -> JobOutcome:
    def add(ask: Ask) -> np.ndarray:
        return np.asarray(np.sum([contribute(ask, book) for book in books], axis=0))

    outcome: JobOutcome = run_plain(rounds(spec), add)
    return outcome


def _kept(book: Book, view: str, rows: int, areas: Sequence[float | None]) -> list[Figures]:
    own, network, mixed, chosen = areas
    if own is None or network is None or mixed is None or chosen is None:
        return []
    spec = book.spec
    return [Figures(spec.recipe, view, rows, spec.seed, book.table.member, (own, network, mixed, chosen))]


def print_figures(room: str, figures: Sequence[Figures]) -> None:
    """Print one line for every recipe, view and number of rows."""
    groups: dict[tuple[str, str, int], list[Figures]] = defaultdict(list)
    own: dict[tuple[str, int], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for each in figures:
        groups[each.recipe, each.view, each.rows].append(each)
        own[each.view, each.rows][each.recipe].append(each.areas[0])
    for (name, view, rows), cases in sorted(groups.items(), key=lambda item: (item[0][:2], item[0][2] or 1 << 30)):
        mean = np.mean([case.areas for case in cases], axis=0)
        best = {recipe_name: float(np.mean(areas)) for recipe_name, areas in own[view, rows].items()}
        shown = " ".join(f"{area:8.4f}" for area in mean)
        beside = " ".join(f"own {recipe_name} {area:.4f}" for recipe_name, area in best.items())
        label = str(rows) if rows else "all"
        print(
            f"{room:12} {name:10} {view:9} {label:>6} {len(cases):5} {shown} {mean[3] - max(mean[:2]):+8.4f}  {beside}"
        )


def main() -> None:
    """Print the table of every room."""
    shared = Path(__file__).resolve().parents[2].parent / "shared" / "data"
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rooms", nargs="*", type=Path, default=[shared / "sba", shared / "uci"], metavar="ROOM")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--recipes", nargs="+", default=["scorecard", "trees"])
    options = parser.parse_args()
    print(f"seeds {' '.join(map(str, options.seeds))}")
    print(HEADING, *(f"{name:>8}" for name in COLUMNS), "vs better")
    for room in options.rooms:
        print_figures(room.name, figures_of(room, options.recipes, options.seeds))


if __name__ == "__main__":
    main()
