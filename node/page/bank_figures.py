"""What the bank's own pages show, read from its state folder: jobs, comparison, budget and forecast.

It decides nothing, and nothing of it leaves the bank. Theory: everything is read when somebody looks, from files that
appear whole, so the page shows what the node has written and needs no line to it.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from node.account import Account, account_of
from node.budget import cap_of
from node.config import NodeConfig
from node.ledger_store import read_ledger
from node.model_view import models_document
from node.offer_book import OfferBook
from privacy.ledger import Cap, Ledger

__all__ = ["Forecast", "Pair", "budget_of", "comparisons", "jobs_of", "pictures"]

WIDTH = 240
_VIEWS = ("own", "network", "mixed")
_MOST_MORE = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure of a model and the length of its bar, 0 to `WIDTH`; None where there is no figure."""

    value: float | None
    length: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Epsilon after so many more jobs like one, whether the cap allows it, and the length of its bar."""

    more: int
    epsilon: float
    allowed: bool
    length: int


def jobs_of(state: Path) -> list[dict[str, Any]]:
    """Return every job that this bank took part in or was offered, newest first.

    Each has `job`, `recipe`, `state` (waiting, agreed, refused, running, or how it ended), `reason`, `sums` seen, and
    `offer`, the line of `OfferBook.listed`, or None.
    """
    found: dict[str, dict[str, Any]] = {}
    for offer in OfferBook(state).listed():
        ways = {"accepted": "agreed"}
        told = ways.get(str(offer["state"]), str(offer["state"]))
        found[offer["job"]] = {
            "job": offer["job"],
            "recipe": offer["recipe"],
            "state": told,
            "reason": "",
            "sums": 0,
            "offer": offer,
        }
    for folder in (state / "jobs").glob("*"):
        entry = found.setdefault(
            folder.name, {"job": folder.name, "recipe": "", "state": "running", "reason": "", "sums": 0, "offer": None}
        )
        result = _object(folder / "result.json")
        entry["state"] = str(result.get("state", "running"))
        recipe = result.get("recipe") or _object(folder / "job.json").get("recipe") or entry["recipe"]
        entry["recipe"] = str(recipe)
        entry["reason"] = str(result.get("reason", ""))
        entry["sums"] = _lines(state / "rounds" / f"{folder.name}.jsonl")
    return sorted(found.values(), key=lambda entry: str(entry["job"]), reverse=True)


def comparisons(state: Path) -> list[dict[str, Any]]:
    """Return the models of `models_document` of which this bank has results, newest first, with pictures."""
    document = models_document(state)
    shown = []
    for entry in reversed(document["models"]):
        own = entry["own"]
        if own is None or own["auc_network"] is None:
            continue
        result = _object(state / "jobs" / entry["job"] / "result.json")
        shown.append({**entry, "auc": pictures(own, "auc", 0.5), "ks": pictures(own, "ks", 0.0),
                      "calibration": result.get("calibration") or {}})  # fmt: skip
    return shown


def pictures(own: Mapping[str, Any], figure: str, least: float) -> dict[str, Pair]:
    """Return own, network and mixed of a figure with bars that begin at `least` and end at 1."""
    pairs = {}
    for view in _VIEWS:
        value = own.get(f"{figure}_{view}")
        length = 0 if value is None else round(WIDTH * max(0.0, float(value) - least) / (1.0 - least))
        pairs[view] = Pair(None if value is None else float(value), length)
    return pairs


def budget_of(config: NodeConfig, now_us: int) -> tuple[Account, str, list[Forecast]]:
    """Return the bank's account, the job that a forecast repeats (empty for none), and the forecast; now_us: UTC."""
    ledger, cap = read_ledger(config.state.dir, f"{config.member.id}/privacy-log"), cap_of(config.permit)
    account = account_of(config.member.id, ledger, cap, now_us)
    if not account.jobs:
        return account, "", []
    job = account.jobs[-1].job
    return account, job, _forecast(ledger, cap, now_us, job)


def _forecast(ledger: Ledger, cap: Cap, now_us: int, job: str) -> list[Forecast]:
    """Return what more jobs that release what this one did would bring epsilon to, until the cap is passed."""
    since = cap.since_us(now_us)
    tally = Counter(release.event for at, release in ledger.reserved if release.job == job and at >= since)
    most, made = float(cap.epsilon), list[Forecast]()
    for more in range(1, _MOST_MORE + 1):
        events = [replace(event, count=count * more) for event, count in tally.items()]
        epsilon = ledger.forecast("another", events, cap, now_us)
        allowed = epsilon <= most
        made.append(Forecast(more, epsilon, allowed, round(min(WIDTH, WIDTH * epsilon / most)) if most else WIDTH))
        if not allowed:
            break
    return made


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _lines(path: Path) -> int:
    try:
        return path.read_bytes().count(b"\n")
    except OSError:
        return 0
