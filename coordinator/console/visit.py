"""One request as a view sees it, and what all views share.

This module answers nothing. Theory: a view gets its visitor already known and let in, its form already read and its
token already checked (`coordinator.console.door`), so no view can forget to.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from coordinator.access import leave_note
from coordinator.account_store import Account, AccountStore
from coordinator.config import CoordinatorConfig
from coordinator.console.language import Language
from coordinator.console.live_feed import LiveFeed
from coordinator.console.pages import Pages
from coordinator.console.session_book import Session, SessionBook
from coordinator.console.throttle import Throttle
from coordinator.log_reader import LogReader
from coordinator.store import Store

__all__ = ["Desk", "Visit", "go"]


@dataclass(frozen=True, slots=True)
class Desk:
    """What all views share. now_us: UTC microseconds; secure: whether browsers reach us over TLS."""

    config: CoordinatorConfig
    store: Store
    accounts: AccountStore
    log: LogReader
    pages: Pages
    feed: LiveFeed
    sessions: SessionBook
    throttle: Throttle
    now_us: Callable[[], int]
    secure: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who is logged in.

    target: path and query as asked. path: parts of the path by name. query, form: last value of each name. files: the
    content of uploaded files by field.
    """

    desk: Desk
    account: Account
    session: Session
    language: Language
    target: str
    path: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)

    def page(self, template: str, status: int = 200, **values: object) -> Response:
        """Draw a page for this visitor."""
        shared = {
            "account": self.account,
            "token": self.session.token,
            "target": self.target,
            "consortium": self.desk.config.consortium.name,
            "now_us": self.desk.now_us(),
        }
        return self.desk.pages.respond(template, self.language, {**shared, **values}, status)

    def note(self, action: str, resource: str) -> None:
        """Have the coordinator's log say what this visitor did; raises `OSError` if that cannot be written down."""
        leave_note(self.desk.config.state.dir, action, resource, subject=self.account.pseudonym)


def go(path: str, **query: str) -> Response:
    """Send the browser to another page of ours."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)
