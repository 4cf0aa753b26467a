"""All inquiries of a report, and their answers in the order of the questions."""

from audit.report_access import Administration, Incidents, Keys, Lookups
from audit.report_answer import Answer
from audit.report_budget import Budget
from audit.report_cohort import Cohort, Protection
from audit.report_egress import Approval, Delivery, Egress
from audit.report_integrity import Clocks, Integrity, Openings
from audit.report_jobs import Assessments, Decisions, Models
from audit.report_read import Inquiry, Scene
from audit.report_subjects import Datasets, Erasures, Verdicts

__all__ = ["all_inquiries", "answer_all"]

_ALL = (
    *(Egress, Approval, Delivery, Budget, Decisions, Assessments, Integrity, Protection, Cohort, Verdicts),
    *(Models, Lookups, Administration, Datasets, Erasures, Openings, Clocks, Keys, Incidents),
)


def all_inquiries(per_log: int) -> list[Inquiry]:
    """Return fresh inquiries that keep at most so many rows of a table per log."""
    return [inquiry(per_log) for inquiry in _ALL]


def answer_all(inquiries: list[Inquiry], scene: Scene) -> list[Answer]:
    """Return the 22 answers in the order of their questions."""
    answers = [answer for inquiry in inquiries for answer in inquiry.answers(scene)]
    return sorted(answers, key=lambda answer: answer.number)
