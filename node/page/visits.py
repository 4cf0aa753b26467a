"""Who visits a page: sessions, rights and forms, the same for every page of the node.

It shows nothing of its own but that somebody is signed out or may not do this. Theory: whoever signs in does so with a
token and gets a session; a form carries a value that only a page of that session has, so no other site can send it.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from node.page.frame import Frame
from node.scorer.sessions import COOKIE, Sessions
from node.tokens import Caller, allowed

__all__ = ["Handled", "StoppedError", "Visits", "read_form", "text_of"]

_HERE = re.compile(r"localhost|::1|127(\.\d{1,3}){3}")
LARGEST_FORM = 256 * 1024
Handled = Callable[[Request], Awaitable[Response]]


class _SignedOutError(Exception):
    """Nobody is signed in; the page of signing in is shown instead."""


class StoppedError(Exception):
    """A request that is not served: its status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Visits:
    """Let visitors in to the pages of a subclass."""

    def __init__(self, sessions: Sessions, frame: Frame) -> None:
        self.sessions = sessions
        self._frame = frame

    def guarded(self, handled: Handled) -> Handled:
        """Return the handler with pages for those who are signed out or may not do this."""

        async def run(request: Request) -> Response:
            try:
                _check_address(request)
                return await handled(request)
            except _SignedOutError:
                return RedirectResponse("/desk/sign-in", 303)
            except StoppedError as stopped:
                caller = self.sessions.caller(request.cookies.get(COOKIE, ""))
                return self.page(request, "stopped", caller, {"status": stopped.status}, stopped.status)

        return run

    def caller(self, request: Request, action: str = "read") -> Caller:
        """Return who is signed in and may do `action`; whoever is signed in may do the empty one."""
        caller = self.sessions.caller(request.cookies.get(COOKIE, ""))
        if caller is None:
            raise _SignedOutError
        if action and not allowed(caller, action):
            raise StoppedError(403)
        return caller

    async def checked_form(self, request: Request, action: str) -> tuple[Caller, FormData]:
        """Return who sent a form that came from a page of this session, and the form; action: as in `caller`."""
        form = await read_form(request)
        caller = self.caller(request, action)
        if not Sessions.is_form_value(request.cookies.get(COOKIE, ""), text_of(form, "form")):
            raise StoppedError(403)
        return caller, form

    def page(
        self, request: Request, template: str, caller: Caller | None, more: dict[str, Any], status: int = 200
    ) -> Response:
        """Return a page made from a template."""
        form = Sessions.form_value(request.cookies.get(COOKIE, ""))
        return self._frame.page(request, template, (caller, form), more, status)


def _check_address(request: Request) -> None:
    """Raise `StoppedError` for a host that is not ours, or a form of another origin."""
    bound, asked = str((request.scope.get("server") or ("",))[0]), request.headers.get("host", "")
    if _HERE.fullmatch(bound) and not _HERE.fullmatch(_host_of(asked)):
        raise StoppedError(421)
    origin = request.headers.get("origin")
    if request.method == "POST" and origin is not None and origin.partition("://")[2] != asked:
        raise StoppedError(403)


def _host_of(asked: str) -> str:
    try:
        return urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return ""


async def read_form(request: Request) -> FormData:
    """Return the form that was sent, of a bounded size."""
    stated = request.headers.get("content-length", "")
    if not stated.isdigit() or int(stated) > LARGEST_FORM:
        raise StoppedError(413)
    return await request.form(max_files=1, max_fields=1200, max_part_size=LARGEST_FORM)


def text_of(form: FormData, name: str) -> str:
    """Return a text of a form, empty if there is none."""
    value = form.get(name, "")
    return value if isinstance(value, str) else ""
