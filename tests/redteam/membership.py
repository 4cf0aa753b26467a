"""Whether a released model tells if one borrower was in it: canaries and a likelihood-ratio attack.

The attacker is the strongest that differential privacy speaks of: it knows every other row, colludes with as many banks
as the protocol allows (their shares of noise are not counted), and asks one question, whether the canary, a row as
unusual as the dictionary permits, was trained on. Two attacks: on the released model, with shadow models whose features
give a likelihood ratio (Carlini et al., 2022), and on all opened sums, where the best ratio is known exactly (Neyman
and Pearson). The advantage is true less false positive rate on runs that the ratio was not fitted on; (epsilon, delta)
bounds it by (e**epsilon - 1 + 2 delta) / (e**epsilon + 1). Noise comes from a seeded generator, so a run repeats.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import exp

import numpy as np

from privacy.accountant import PrivacyEvent, calibrate
from risk.book import Book
from risk.card import Scorecard
from risk.catalogue import recipe
from risk.dictionary import Dictionary, parse_dictionary
from risk.job import JobOutcome, contribute, releases, rounds
from risk.modelfile import model_digest
from risk.recipe import Ask, run_plain
from risk.spec import JobSpec
from risk.table import Table, concatenate

__all__ = ["Finding", "audit", "bound", "describe", "exact", "findings", "kept"]

DELTA = "0.000001"
RUNS = 100
"""Models with the canary and models without it, half of each to fit the ratio and half to judge it."""
ROWS = (160, 140, 120, 100)
Residues = list[tuple[Ask, np.ndarray]]
"""Of every request, the opened sum less what all rows but the canary put into it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Hold the advantage of both attacks against models of one kind, and the bound that their epsilon gives."""

    name: str
    model: float
    sums: float
    bound: float

    @property
    def held(self) -> bool:
        """Return whether neither attack exceeds the bound."""
        return max(self.model, self.sums) <= self.bound


def bound(epsilon: float) -> float:
    """Return the largest advantage that (epsilon, 1e-6) permits to anybody."""
    return (exp(epsilon) - 1.0 + 2.0 * float(DELTA)) / (exp(epsilon) + 1.0)


def audit(epsilon: str, *, too_little_noise: int = 1, runs: int = RUNS) -> Finding:
    """Return what both attacks reach against models of this epsilon.

    too_little_noise: divides the noise's standard deviation while the claim stays, to see the attacks succeed.
    """
    spec = _spec()
    multiplier = max(_multiplier(spec, epsilon) // too_little_noise, 1)
    spec = replace(spec, multiplier=multiplier)
    tables, canary = _tables(spec.dictionary)
    worlds = {True: _books([*tables[:-1], concatenate([tables[-1], canary], "d")], spec), False: _books(tables, spec)}
    seen = {present: [_run(spec, books, seed, present) for seed in range(runs)] for present, books in worlds.items()}
    features = {present: np.array([_features(o.model, canary) for o, _ in runs_]) for present, runs_ in seen.items()}
    ratios = {present: np.array([_ratio(sums, canary, spec) for _, sums in runs_]) for present, runs_ in seen.items()}
    name = f"epsilon {epsilon}" + (f", noise {too_little_noise} times too small" if too_little_noise > 1 else "")
    return Finding(
        name,
        _advantage(_fitted_ratio(features[True], features[False]), runs),
        _advantage((ratios[True][:, None], ratios[False][:, None]), runs),
        bound(float(epsilon)),
    )


def exact() -> Finding:
    """Return what the same attacker reaches against an exact model: it computes both and compares."""
    spec = _spec()
    tables, canary = _tables(spec.dictionary)
    digests = []
    for last in (tables[-1], concatenate([tables[-1], canary], "d")):
        books = _books([*tables[:-1], last], spec)
        outcome = run_plain(rounds(spec), partial(_total, books))
        digests.append(model_digest(outcome.model))
    told = float(digests[0] != digests[1])
    return Finding("exact", told, told, 1.0)


def findings() -> list[Finding]:
    """Return what the attacks reach against exact models, at epsilon 1 and 3, and where the noise is a lie."""
    return [exact(), audit("1"), audit("3"), audit("1", too_little_noise=20, runs=RUNS // 2)]


def kept(found: Sequence[Finding]) -> bool:
    """Return whether honest noise held everywhere, and noise that is a lie did not."""
    return all(item.held for item in found[:-1]) and not found[-1].held


def describe(found: Sequence[Finding]) -> str:
    """Return a table of findings."""
    lines = [f"{'membership':<36} {'on the model':>14} {'on the sums':>14} {'bound':>8}"]
    lines += [f"{item.name:<36} {item.model:>14.3f} {item.sums:>14.3f} {item.bound:>8.3f}" for item in found]
    return "\n".join(lines)


def _total(books: Sequence[Book], ask: Ask) -> np.ndarray:
    return np.asarray(np.sum([contribute(ask, book) for book in books], axis=0))


def _spec() -> JobSpec:
    shape = {"dimension": "credit", "text": "x", "type": "number", "unit": "CNY", "risk_when_rising": "free"}
    names = ("income", "debt", "age")
    fields = [{"name": name, "bounds": [0, 100], **shape} for name in names]
    trade = {"name": "trade", "dimension": "scenario", "text": "t", "type": "category", "levels": list("abcdef")}
    document = {
        "name": "canary", "version": 1, "title": "t", "source": "s", "target": {"field": "bad", "meaning": "1 = bad"},
        "field": [*fields, {**trade, "risk_when_rising": "free"}],
    }  # fmt: skip
    return JobSpec(
        "scorecard",
        1,
        recipe("scorecard").parse_parameters({}),
        parse_dictionary(document, "schema.toml"),
        4,
        4096,
        0,
        0,
    )


def _multiplier(spec: JobSpec, epsilon: str) -> int:
    announced = releases(spec)

    def events(multiplier: int) -> list[PrivacyEvent]:
        return [
            PrivacyEvent(item.rows, item.variance(multiplier), item.row_l1, item.row_l2_squared, count=item.count)
            for item in announced
        ]

    return calibrate(events, epsilon, DELTA)


def _tables(dictionary: Dictionary) -> tuple[list[Table], Table]:
    """Return four banks' rows, and a canary: at the bounds, in a trade nobody has, and bad where all looks good."""
    tables = []
    for place, count in enumerate(ROWS):
        rng = np.random.default_rng([77, place])
        columns: dict[str, np.ndarray] = {n: rng.uniform(0, 90, count) for n in ("income", "debt", "age")}
        columns["trade"] = rng.integers(0, 5, count).astype(np.int16)
        chance = 1.0 / (1.0 + np.exp(-(-1.2 + 0.03 * (columns["debt"] - 45) - 0.02 * (columns["income"] - 45))))
        tables.append(Table("abcd"[place], columns, (rng.random(count) < chance).astype(np.int8)))
    columns = {"income": np.array([99.0]), "debt": np.array([0.5]), "age": np.array([99.0])}
    columns["trade"] = np.array([len(dictionary.field("trade").levels) - 1], dtype=np.int16)
    return tables, Table("canary", columns, np.array([1], dtype=np.int8))


def _books(tables: Sequence[Table], spec: JobSpec) -> list[Book]:
    """Nothing is held out, so the canary is trained on wherever it is."""
    return [Book(table, spec, _drawn) for table in tables]


def _drawn(message: bytes) -> bytes:
    return hmac.digest(b"key", message, "sha256")


def _run(spec: JobSpec, books: Sequence[Book], seed: int, present: bool) -> tuple[JobOutcome, Residues]:
    """Return the outcome, and what is left of every sum for the canary."""
    rng = np.random.default_rng([seed, present])
    seen: Residues = []
    canary = books[-1].table.rows - 1

    def total(ask: Ask) -> np.ndarray:
        half = ask.noise / 2.0
        noise = rng.poisson(half, ask.length) - rng.poisson(half, ask.length)
        seen.append((ask, noise + _alone(books[-1], canary, ask) if present else noise))
        return np.asarray(_total(books, ask) + noise)

    outcome: JobOutcome = run_plain(rounds(spec), total)
    return outcome, seen


def _alone(book: Book, row: int, ask: Ask) -> np.ndarray:
    """Return the part of one row alone."""
    return contribute(ask, Book(book.table.select(np.array([row])), book.spec, book.prf))


def _ratio(seen: Residues, canary: Table, spec: JobSpec) -> float:
    """Return the log-likelihood ratio of all sums: noise around the canary's part against noise around nothing."""
    book = Book(canary, spec, _drawn)
    total = 0.0
    for ask, residue in seen:
        mine = contribute(ask, book).astype(np.float64)
        total += float(np.sum(mine * residue - mine * mine / 2.0) / ask.noise)
    return total


def _features(model: object, canary: Table) -> list[float]:
    """Return what a reader of the model file sees that may hang on the canary."""
    assert isinstance(model, Scorecard)
    found = {item.name: item for item in model.fields}
    features = [float(model.logit(canary)[0]), model.intercept / 2.0**20, float(model.training["bads"])]
    features.append(float(model.training["rows"]))
    for name in canary.columns:
        item = found.get(name)
        place = 0 if item is None else int(item.codes(canary)[0])
        features += [0.0] * 4 if item is None else [
            item.weight / 2.0**20, item.woe[place] / 1024.0, float(item.rows[place]), float(item.bads[place] or 0)
        ]  # fmt: skip
    return features


def _fitted_ratio(present: np.ndarray, absent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Fisher's discriminant of both sides, fitted on the even runs."""
    first, second = present[::2], absent[::2]
    spread = np.cov(np.concatenate([first - first.mean(axis=0), second - second.mean(axis=0)]).T)
    spread += np.diag(0.1 * np.diag(spread) + 1e-9)
    direction = np.linalg.solve(spread, first.mean(axis=0) - second.mean(axis=0))
    return (present @ direction)[:, None], (absent @ direction)[:, None]


def _advantage(sides: tuple[np.ndarray, np.ndarray], runs: int) -> float:
    """Return true less false positives on the odd runs, at the threshold that is best on the even ones."""
    present, absent = (side[:runs, 0] for side in sides)
    tries = np.concatenate([present[::2], absent[::2]])
    gains = [float(np.mean(present[::2] >= t) - np.mean(absent[::2] >= t)) for t in tries]
    best = tries[int(np.argmax(gains))]
    return float(np.mean(present[1::2] >= best) - np.mean(absent[1::2] >= best))
