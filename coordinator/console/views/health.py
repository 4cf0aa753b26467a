"""The machine and its settings: what is fine, what is not, and what to do."""

from starlette.responses import Response

from coordinator.console.visit import Visit
from coordinator.health import findings

__all__ = ["show"]


def show(visit: Visit) -> Response:
    """Draw every finding."""
    return visit.page("health.html.j2", findings=findings(visit.desk.config))
