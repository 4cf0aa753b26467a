"""What the network knows of its models' quality; how a bank's own model compares is known at that bank alone."""

from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from coordinator.console.visit import Visit
from coordinator.model_view import outcome_of
from coordinator.store import Job

__all__ = ["Measured", "show"]

LISTED = 40
_FIGURES = ("auc", "ks", "gini", "brier", "ece", "psi")


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished job with its released figures."""

    job: Job
    figures: dict[str, float]
    metrics: dict[str, Any]


def show(visit: Visit) -> Response:
    """Draw the figures of finished jobs, and one job's curves (`?job=`, else the newest)."""
    desk = visit.desk
    measured: list[Measured] = []
    for job in desk.store.jobs()[::-1]:
        outcome = outcome_of(desk.config.state.dir, job.id) if job.state == "done" else {}
        metrics = outcome.get("metrics")
        if metrics and len(measured) < LISTED:
            figures = {name: metrics[name] for name in _FIGURES if isinstance(metrics.get(name), float)}
            measured.append(Measured(job, figures, metrics))
    wanted = visit.query.get("job", "")
    chosen = next((each for each in measured if each.job.id == wanted), measured[0] if measured else None)
    return visit.page("measures.html.j2", measured=measured, chosen=chosen, figures=_FIGURES)
