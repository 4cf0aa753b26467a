"""Let visitors in: find their session, check role and token, read their form, and hand the visit to a view.

It draws no page of its own but refusals. Theory: there is one way to every view and it leads through here, so a view
without a role cannot be written. What an auditor looks up, and what anybody was refused, is noted for the
coordinator's log before the answer leaves; if it cannot be noted, there is no answer.
"""

import asyncio
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.responses import Response

from coordinator.access import leave_note
from coordinator.account_store import Account, Role
from coordinator.console.language import COOKIE, LANGUAGES, Language, choose
from coordinator.console.session_book import Session
from coordinator.console.visit import Desk, Visit, go
from privacy.errors import InputError, PrivacyError
from risk.errors import InputError as RiskInputError
from risk.errors import RiskError

__all__ = [
    "Entrance",
    "Form",
    "cookie_name",
    "enter",
    "language_of",
    "read_form",
    "refusal",
    "remember_language",
    "sent_by_us",
]

View = Callable[[Visit], Response]
LARGEST_FIELD = 256 * 1024
MOST_FIELDS = 64


@dataclass(frozen=True, slots=True)
class Entrance:
    """One address of the console: who may use it, and the view that answers.

    quiet: a part of a page that is asked for again and again; an auditor's look-up is noted with its page.
    """

    method: str
    path: str
    roles: frozenset[Role]
    view: View
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class Form:
    """A form as sent: the last value of each field, and the content of each file."""

    values: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)


def cookie_name(secure: bool) -> str:
    """Return the name of the session's cookie; over TLS one that browsers take from this host alone."""
    return "__Host-creditmesh-console" if secure else "creditmesh-console"


def language_of(request: Request) -> Language:
    """Return the language that a request asks for."""
    accepted = request.headers.get("accept-language", "")
    return choose(request.query_params.get("lang"), request.cookies.get(COOKIE), accepted)


def remember_language(desk: Desk, request: Request, answer: Response) -> Response:
    """Keep the language that `?lang=` asked for in a cookie, for half a year."""
    wish = request.query_params.get("lang")
    if wish in LANGUAGES:
        answer.set_cookie(COOKIE, wish, 183 * 86_400, path="/", secure=desk.secure, httponly=True, samesite="strict")
    return answer


async def enter(desk: Desk, entrance: Entrance, request: Request) -> Response:
    """Answer one request to an entrance."""
    language, target = language_of(request), _target(request)
    try:
        found = await asyncio.to_thread(_known, desk, request)
    except PrivacyError:
        return refusal(desk, language, "database", 503)
    if found is None:
        return _to_login(target) if request.method == "GET" else refusal(desk, language, "session-over", 403)
    account, session = found
    resource = f"{request.method} {request.url.path}"
    if account.role not in entrance.roles:
        noted = await asyncio.to_thread(_note, desk, account, "console-refused", resource, "denied")
        return refusal(desk, language, "role", 403) if noted else refusal(desk, language, "unnoted", 503)
    form = Form()
    if request.method == "POST":
        if not sent_by_us(request):
            return refusal(desk, language, "foreign", 403)
        read = await read_form(request)
        if read is None:
            return refusal(desk, language, "form", 400)
        form = read
        sent = form.values.get("token") or request.headers.get("x-csrf-token", "")
        if not hmac.compare_digest(sent.encode(), session.token.encode()):
            return refusal(desk, language, "token", 403)
    elif account.role == "auditor" and not entrance.quiet:
        asked = f"?{request.url.query}" if request.url.query else ""
        if not await asyncio.to_thread(_note, desk, account, "console-view", resource + asked, "allowed"):
            return refusal(desk, language, "unnoted", 503)
    query = {name: value[:4096] for name, value in request.query_params.items()}
    visit = Visit(desk, account, session, language, target, request.path_params, query, form.values, form.files)
    return await asyncio.to_thread(_answer, entrance.view, visit)


def refusal(desk: Desk, language: Language, reason: str, status: int, **parts: object) -> Response:
    """Return the page that says why something was refused and what to do."""
    values = {"reason": reason, "parts": parts, "consortium": desk.config.consortium.name, "target": "/"}
    return desk.pages.respond("refused.html.j2", language, values, status)


def _answer(view: View, visit: Visit) -> Response:
    try:
        return view(visit)
    except (InputError, RiskInputError) as error:
        status = 404 if error.code.endswith("-unknown") else 400
        return visit.page("fault.html.j2", status, code=error.code, message=error.message)
    except (PrivacyError, RiskError) as error:
        return visit.page("fault.html.j2", 500, code=error.code, message=error.message)
    except OSError as error:
        message = f"{error.filename or ''}: {error.strerror or type(error).__name__}"
        return visit.page("fault.html.j2", 503, code="system", message=message)


def _known(desk: Desk, request: Request) -> tuple[Account, Session] | None:
    name = request.cookies.get(cookie_name(desk.secure), "")
    session = desk.sessions.find(name) if name else None
    if session is None:
        return None
    account = desk.accounts.current(session.account)
    if account is None or account.changed != session.changed:
        desk.sessions.close(name)
        return None
    return account, session


def _note(desk: Desk, account: Account, action: str, resource: str, decision: str) -> bool:
    printable = "".join(letter if letter.isprintable() else "?" for letter in resource)
    try:
        leave_note(desk.config.state.dir, action, printable, subject=account.pseudonym, decision=decision)
    except OSError:
        return False
    return True


def sent_by_us(request: Request) -> bool:
    """Say whether a form was sent from one of our own pages, as far as the browser tells."""
    site = request.headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host", "")


async def read_form(request: Request) -> Form | None:
    """Return the form in a request's body, None for one that is malformed, too large or no form."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return None
    values: dict[str, str] = {}
    files: dict[str, bytes] = {}
    try:
        async with request.form(max_files=2, max_fields=MOST_FIELDS, max_part_size=LARGEST_FIELD) as form:
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    files[name] = await value.read()
                elif len(value) > LARGEST_FIELD or len(values) >= MOST_FIELDS:
                    return None
                else:
                    values[name] = value
    except (MultiPartException, HTTPException, ValueError, AssertionError):
        return None
    return Form(values, files)


def _target(request: Request) -> str:
    query = "&".join(part for part in request.url.query.split("&") if part and not part.startswith("lang="))
    return f"{request.url.path}?{query}" if query else request.url.path


def _to_login(target: str) -> Response:
    return go("/login", next=target) if target not in ("/", "/login") else go("/login")
