"""The first page: how the network stands in one look, and what wants attention."""

from starlette.responses import Response

from coordinator.console.live_feed import look
from coordinator.console.visit import Visit
from coordinator.health import findings
from coordinator.store import FINAL_STATES

__all__ = ["show"]

RECENT = 5


def show(visit: Visit) -> Response:
    """Draw the overview; faults of the machine are shown to those who run or audit it."""
    store = visit.desk.store
    members, jobs = store.members(), store.jobs()
    running = [look(store, job.id) for job in jobs if job.state not in FINAL_STATES and job.state != "queued"]
    faults = (
        [] if visit.account.role == "risk" else [each for each in findings(visit.desk.config) if each.state != "ok"]
    )
    head = visit.desk.log.head() if visit.desk.log.exists else None
    return visit.page(
        "overview.html.j2",
        active=sum(member.status == "active" for member in members),
        enrolled=len(members),
        least=visit.desk.config.policy.min_members,
        running=running,
        queued=sum(job.state == "queued" for job in jobs),
        recent=jobs[: -RECENT - 1 : -1],
        done=sum(job.state == "done" for job in jobs),
        pending=len(store.pending_models()),
        log_size=head[0].size if head else 0,
        faults=faults,
    )
