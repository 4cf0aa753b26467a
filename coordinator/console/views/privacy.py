"""What jobs cost a borrower's privacy, as the coordinator can know it; each bank's ledger is its own and decides."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from coordinator.console.visit import Visit
from coordinator.model_view import outcome_of
from coordinator.store import Job

__all__ = ["Spent", "show"]

FORECAST = 5


@dataclass(frozen=True, slots=True)
class Spent:
    """One job that ran: its promise (None for exact sums), sums opened, smallest cohort, and who was in it.

    total: what jobs with a promise cost until and with this one, added up, which is an upper bound.
    """

    job: Job
    epsilon: float | None
    delta: str
    total: float
    sums: int
    cohort: int
    members: tuple[str, ...]


def show(visit: Visit) -> Response:
    """Draw the ledger over jobs, oldest first in its sum, and how many more jobs a budget leaves room for."""
    desk, total = visit.desk, 0.0
    spent: list[Spent] = []
    for job in desk.store.jobs():
        outcome = outcome_of(desk.config.state.dir, job.id)
        if not outcome.get("sums"):
            continue
        promise = _promise(job, outcome)
        total += float(promise["epsilon"]) if promise else 0.0
        spent.append(
            Spent(job, float(promise["epsilon"]) if promise else None, str(promise["delta"]) if promise else "", total,
                  int(outcome["sums"]), int(outcome.get("smallest_cohort") or 0), tuple(outcome.get("members", ())))
        )  # fmt: skip
    budget, each = _decimal(visit, "budget", 10.0), _decimal(visit, "each", _usual(spent))
    steps = [(number, total + number * each, total + number * each <= budget) for number in range(1, FORECAST + 1)]
    room = int((budget - total) / each + 1e-9) if budget > total else 0
    return visit.page(
        "privacy.html.j2", spent=spent[::-1], total=total, budget=budget, each=each, steps=steps, room=room
    )


def _promise(job: Job, outcome: dict[str, Any]) -> dict[str, Any] | None:
    return outcome.get("dp") or job.spec.get("privacy")


def _usual(spent: list[Spent]) -> float:
    costs = [each.epsilon for each in spent if each.epsilon is not None]
    return costs[-1] if costs else 3.0


def _decimal(visit: Visit, name: str, default: float) -> float:
    try:
        value = float(visit.query.get(name, ""))
    except ValueError:
        return default
    return value if 0.001 <= value <= 1000.0 else default
