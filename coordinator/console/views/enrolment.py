"""Banks that want to join: who was invited, who applied, and typing the fingerprint that was read out by telephone."""

from datetime import UTC, datetime

from starlette.responses import Response

from coordinator.console.visit import Visit, go
from coordinator.enrolment import Enrolment
from privacy.errors import InputError, VerificationError

__all__ = ["approve", "cancel", "show"]

LISTED = 60


def show(visit: Visit) -> Response:
    """Draw who waits for an approval, then every other invitation, the newest first."""
    return _page(visit)


def approve(visit: Visit) -> Response:
    """Approve the bank whose fingerprint was typed; a wrong one is counted and said."""
    member, desk = visit.path["member"], visit.desk
    try:
        ended = Enrolment(desk.config, desk.store).approve(
            member, visit.form.get("fingerprint", "")[:200], visit.account.pseudonym, datetime.now(UTC)
        )
    except (VerificationError, InputError) as error:
        if isinstance(error, InputError) and error.code != "fingerprint-shape":
            raise
        visit.note("approve-refused", member)
        return _page(visit, member, error.message, 400)
    visit.note("approve", member)
    return go("/enrolment", done=member if ended.complete else "", half="" if ended.complete else member)


def cancel(visit: Visit) -> Response:
    """Take an invitation back."""
    member, desk = visit.path["member"], visit.desk
    Enrolment(desk.config, desk.store).records.cancel(member)
    visit.note("cancel-invite", member)
    return go("/enrolment")


def _page(visit: Visit, wrong: str = "", fault: str = "", status: int = 200) -> Response:
    desk, now = visit.desk, visit.desk.now_us()
    invites = sorted(Enrolment(desk.config, desk.store).records.invites(), key=lambda each: -each.number)
    rows = [(invite, invite.standing(now)) for invite in invites]
    return visit.page(
        "enrolment.html.j2", status, target="/enrolment",
        waiting=[row for row in rows if row[1] == "applied"],
        others=[row for row in rows if row[1] != "applied"][:LISTED],
        two=desk.config.policy.two_person_approval, wrong=wrong, fault=fault,
        done=visit.query.get("done", ""), half=visit.query.get("half", ""),
    )  # fmt: skip
