"""Who belongs to the network: status, last sign of life, certificate; and letting a bank out or in again."""

from dataclasses import dataclass

from starlette.responses import Response

from coordinator.certificate_store import CertificateStore
from coordinator.console.visit import Visit, go
from coordinator.sightings import Sighting, read_sightings
from coordinator.store import Member
from privacy.errors import InputError

__all__ = ["Seat", "readmit", "show", "suspend"]

DAY_US = 86_400 * 1_000_000


@dataclass(frozen=True, slots=True)
class Seat:
    """A bank as the table shows it; days: until its certificate ends, None where nobody wrote that down."""

    member: Member
    sighting: Sighting | None
    days: int | None


def show(visit: Visit) -> Response:
    """Draw the table of members."""
    desk = visit.desk
    now = desk.now_us()
    seen = read_sightings(desk.config.state.dir, now)
    ends = CertificateStore(desk.store.engine).ends()
    seats = [
        Seat(member, seen.get(member.id), None if member.id not in ends else (ends[member.id] - now) // DAY_US)
        for member in desk.store.members()
    ]
    return visit.page("members.html.j2", seats=seats, least=desk.config.policy.min_members)


def suspend(visit: Visit) -> Response:
    """Refuse a bank's certificate from now on; its name has to be typed, since it breaks running jobs."""
    member = visit.path["member"]
    if visit.form.get("typed", "").strip() != member:
        raise InputError("name-typed", f"type {member} to suspend it; nothing was changed")
    visit.desk.store.set_member_status(member, "suspended")
    visit.note("suspend", member)
    return go("/members")


def readmit(visit: Visit) -> Response:
    """Let a suspended bank in again."""
    member = visit.path["member"]
    known = {each.id: each.status for each in visit.desk.store.members()}
    if known.get(member) not in ("suspended", "active"):
        raise InputError(
            "member-status", f"{member} is {known.get(member, 'not enrolled')}; only a suspended one returns"
        )
    visit.desk.store.set_member_status(member, "active")
    visit.note("restore", member)
    return go("/members")
