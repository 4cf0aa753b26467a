"""Every address of the console, who may use it, and the view that answers.

Theory: roles stand beside the address in one table, so that it can be read and tested as a whole. The operator runs
the network, the risk team works with jobs and models, the auditor looks and changes nothing.
"""

from coordinator.account_store import Role
from coordinator.console.door import Entrance
from coordinator.console.views import (
    enrolment,
    health,
    job_form,
    jobs,
    log,
    measures,
    members,
    models,
    overview,
    privacy,
)

__all__ = ["ENTRANCES"]

_ALL: frozenset[Role] = frozenset({"operator", "risk", "auditor"})
_OPERATOR: frozenset[Role] = frozenset({"operator"})
_TEAM: frozenset[Role] = frozenset({"operator", "risk"})
_OVERSIGHT: frozenset[Role] = frozenset({"operator", "auditor"})

ENTRANCES = (
    Entrance("GET", "/", _ALL, overview.show),
    Entrance("GET", "/members", _OVERSIGHT, members.show),
    Entrance("POST", "/members/{member}/suspend", _OPERATOR, members.suspend),
    Entrance("POST", "/members/{member}/readmit", _OPERATOR, members.readmit),
    Entrance("GET", "/enrolment", _OVERSIGHT, enrolment.show),
    Entrance("POST", "/enrolment/{member}/approve", _OPERATOR, enrolment.approve),
    Entrance("POST", "/enrolment/{member}/cancel", _OPERATOR, enrolment.cancel),
    Entrance("GET", "/live", _TEAM, jobs.current),
    Entrance("GET", "/jobs", _ALL, jobs.listing),
    Entrance("GET", "/jobs/new", _TEAM, job_form.show),
    Entrance("POST", "/jobs/preview", _TEAM, job_form.preview),
    Entrance("POST", "/jobs", _TEAM, job_form.submit),
    Entrance("GET", "/jobs/{job}", _ALL, jobs.detail),
    Entrance("POST", "/jobs/{job}/wish", _OPERATOR, jobs.wish),
    Entrance("GET", "/jobs/{job}/stream", _TEAM, jobs.stream, quiet=True),
    Entrance("GET", "/measures", _TEAM, measures.show),
    Entrance("GET", "/models", _ALL, models.listing),
    Entrance("GET", "/models/{sha256}", _ALL, models.detail),
    Entrance("GET", "/models/{sha256}/file", _TEAM, models.download),
    Entrance("POST", "/models/{sha256}/propose", _TEAM, models.propose),
    Entrance("POST", "/models/{sha256}/withdraw", _TEAM, models.withdraw),
    Entrance("GET", "/privacy", _ALL, privacy.show),
    Entrance("GET", "/log", _OVERSIGHT, log.listing),
    Entrance("GET", "/log/export", _OVERSIGHT, log.export),
    Entrance("GET", "/log/{index:int}", _OVERSIGHT, log.detail),
    Entrance("GET", "/log/{index:int}/proof", _OVERSIGHT, log.proof),
    Entrance("GET", "/health", _OVERSIGHT, health.show),
)
