"""Log in and log out: the only pages that need no account.

It keeps no password. Theory: every attempt costs the same time whether or not the account exists, one attempt is
checked at a time, and who fails often waits (`coordinator.console.throttle`). A log-in, allowed or denied, is noted for
the coordinator's log under the account's number; an unknown name is not repeated there.
"""

import asyncio
import hmac
import secrets
from dataclasses import dataclass, field

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from coordinator.access import leave_note
from coordinator.account_store import Account
from coordinator.console.door import cookie_name, language_of, read_form, refusal, sent_by_us
from coordinator.console.session_book import LONGEST_S
from coordinator.console.visit import Desk
from privacy.errors import PrivacyError

__all__ = ["Entry"]

LONGEST_NAME = 63
LONGEST_PASSWORD = 256


@dataclass(slots=True)
class Entry:
    """Answer the log-in page; one password is checked at a time, since each takes memory and time."""

    desk: Desk
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def show(self, request: Request) -> Response:
        """Return the log-in form."""
        return self._form(request, 200, "", _next(request.query_params.get("next")))

    async def log_in(self, request: Request) -> Response:
        """Check name and password and open a session under a new name."""
        language = language_of(request)
        form = await read_form(request) if sent_by_us(request) else None
        if form is None:
            return refusal(self.desk, language, "foreign", 403)
        after = _next(form.values.get("next"))
        nonce = request.cookies.get(self._nonce_cookie, "")
        expected = self.desk.sessions.form_token(nonce)
        if not nonce or not hmac.compare_digest(form.values.get("token", "").encode(), expected.encode()):
            return self._form(request, 403, "stale", after)
        name = form.values.get("name", "").strip()[:LONGEST_NAME]
        password = form.values.get("password", "")[: LONGEST_PASSWORD + 1]
        keys = (f"name {name}", f"address {request.client.host if request.client else ''}")
        async with self._turn:
            wait = self.desk.throttle.wait_s(*keys)
            if wait > 0:
                return self._form(request, 429, "wait", after, wait)
            try:
                account = await asyncio.to_thread(self.desk.accounts.verify, name, password)
            except PrivacyError:
                return refusal(self.desk, language, "database", 503)
            if account is None:
                self.desk.throttle.failed(*keys)
        if not await asyncio.to_thread(self._note, account):
            return refusal(self.desk, language, "unnoted", 503)
        if account is None:
            return self._form(request, 403, "wrong", after)
        self.desk.throttle.succeeded(keys[0])
        self.desk.sessions.close(request.cookies.get(cookie_name(self.desk.secure), ""))
        answer = RedirectResponse(after, 303)
        self._set(answer, cookie_name(self.desk.secure), self.desk.sessions.open(account), int(LONGEST_S))
        answer.delete_cookie(self._nonce_cookie, path="/", secure=self.desk.secure, httponly=True, samesite="strict")
        return answer

    async def log_out(self, request: Request) -> Response:
        """End the session; its form's token was not needed to do harm, but a foreign page shall not do it either."""
        name = request.cookies.get(cookie_name(self.desk.secure), "")
        form = await read_form(request) if sent_by_us(request) else None
        session = self.desk.sessions.find(name) if name else None
        if session is not None:
            if form is None or not hmac.compare_digest(form.values.get("token", "").encode(), session.token.encode()):
                return refusal(self.desk, language_of(request), "token", 403)
            self.desk.sessions.close(name)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(
            cookie_name(self.desk.secure), path="/", secure=self.desk.secure, httponly=True, samesite="strict"
        )
        return answer

    @property
    def _nonce_cookie(self) -> str:
        return f"{cookie_name(self.desk.secure)}-form"

    def _form(self, request: Request, status: int, fault: str, after: str, wait: float = 0.0) -> Response:
        nonce = request.cookies.get(self._nonce_cookie) or secrets.token_urlsafe(24)
        values = {
            "token": self.desk.sessions.form_token(nonce),
            "fault": fault,
            "wait_s": int(wait) + 1,
            "after": after,
            "target": "/login",
            "consortium": self.desk.config.consortium.name,
        }
        answer = self.desk.pages.respond("login.html.j2", language_of(request), values, status)
        if wait > 0:
            answer.headers["Retry-After"] = str(int(wait) + 1)
        self._set(answer, self._nonce_cookie, nonce, 3600)
        return answer

    def _set(self, answer: Response, name: str, value: str, seconds: int) -> None:
        answer.set_cookie(name, value, seconds, path="/", secure=self.desk.secure, httponly=True, samesite="strict")

    def _note(self, account: Account | None) -> bool:
        subject = account.pseudonym if account else "account-unknown"
        try:
            leave_note(
                self.desk.config.state.dir, "console-login", "console", subject=subject,
                decision="allowed" if account else "denied",
            )  # fmt: skip
        except OSError:
            return False
        return True


def _next(asked: str | None) -> str:
    """Return a path of this console to go on to; anything else is the first page."""
    ours = asked is not None and asked.startswith("/") and asked[1:2] not in ("/", "\\") and asked.isprintable()
    return asked if ours and asked is not None and len(asked) < 512 and asked.isascii() else "/"
