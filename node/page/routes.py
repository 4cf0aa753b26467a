"""The account manager's page over HTTP: sign in, take an applicant down, decide, explain, add what was seen.

It decides nothing: `node.scorer.office` does, and what it answers is what is shown. Theory: pages are made by the node
and carry no script, so a strict content policy holds and a phone with a weak line is enough. Whoever signs in does so
with a token and gets a session; a form carries a value that only a page of that session has.
"""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from node.page.applicant_form import FormFault, application_from, values_of
from node.page.drawing import portrait_picture, score_picture
from node.page.entry import Entry
from node.page.frame import Frame, language_of
from node.page.visits import Handled, StoppedError, Visits, read_form, text_of
from node.scorer.bodies import DECISION, OverrideBody
from node.scorer.office import Answer, Office
from node.scorer.sessions import COOKIE, Sessions
from node.tokens import Caller, allowed

__all__ = ["add_page"]

RECENT = 20
_STATIC = Path(__file__).with_name("static")


def add_page(app: FastAPI, institution: str, is_secure: bool) -> None:
    """Add the page's routes under `/desk` to an app of `node.scorer.app`.

    institution: the bank's id, as letters name it. is_secure: whether cookies may only travel over TLS.
    """
    page = _Page(app.state.office, app.state.sessions, Frame(institution), is_secure)
    routes: tuple[tuple[str, str, Handled], ...] = (
        ("GET", "/desk", page.home),
        ("GET", "/desk/sign-in", page.sign_in_form),
        ("POST", "/desk/sign-in", page.sign_in),
        ("POST", "/desk/sign-out", page.sign_out),
        ("GET", "/desk/new", page.new),
        ("POST", "/desk/load", page.load),
        ("POST", "/desk/try", page.try_out),
        ("POST", "/desk/decide", page.decide),
        ("GET", "/desk/applications/{application_id}", page.show),
        ("GET", "/desk/applications/{application_id}/letter", page.letter),
        ("POST", "/desk/applications/{application_id}/override", page.override),
        ("GET", "/desk/static/page.css", page.style),
        ("GET", "/desk/static/icon.svg", page.icon),
    )
    app.router.routes.extend(Route(path, page.guarded(handled), methods=[method]) for method, path, handled in routes)


class _Page(Visits):
    def __init__(self, office: Office, sessions: Sessions, frame: Frame, is_secure: bool) -> None:
        super().__init__(sessions, frame)
        self._office, self._is_secure = office, is_secure

    # -- signing in --------------------------------------------------------------------------------------------------

    async def sign_in_form(self, request: Request) -> Response:
        """Show the form for a token."""
        return self.page(request, "sign_in", None, {"wrong": False})

    async def sign_in(self, request: Request) -> Response:
        """Open a session for a token."""
        form = await read_form(request)
        opened = self.sessions.sign_in(text_of(form, "token").strip())
        if opened is None:
            return self.page(request, "sign_in", None, {"wrong": True}, 401)
        answer = RedirectResponse("/desk" if allowed(opened[1], "read") else "/bank", 303)
        answer.set_cookie(COOKIE, opened[0], path="/", httponly=True, samesite="strict", secure=self._is_secure)
        return answer

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await self.checked_form(request, "")
        self.sessions.sign_out(request.cookies.get(COOKIE, ""))
        answer = RedirectResponse("/desk/sign-in", 303)
        answer.delete_cookie(COOKIE, path="/")
        return answer

    # -- applicants --------------------------------------------------------------------------------------------------

    async def home(self, request: Request) -> Response:
        """List the newest decisions."""
        caller = self.caller(request)
        rows = self._office.recorder.decisions.newest(RECENT)
        recent = [
            {"id": row.application_id, "at": json.loads(row.answer)["decided_at"], "outcome": row.outcome,
             "score": row.score, "grade": row.grade}
            for row in rows
        ]  # fmt: skip
        return self.page(request, "home", caller, {"recent": recent, "faults": self._office.faults})

    async def new(self, request: Request) -> Response:
        """Show the form of an applicant, empty or filled from an application that was decided."""
        caller = self.caller(request, "decide")
        known = self._office.recorder.decisions.find(request.query_params.get("from", ""))
        values = {} if known is None else values_of(json.loads(known.body), keep_id=False)
        return self._entry(request, caller, values)

    async def load(self, request: Request) -> Response:
        """Fill the form from a record that `creditmesh-node index show` wrote."""
        caller, form = await self.checked_form(request, "decide")
        found = form.get("record")
        raw = await found.read() if isinstance(found, UploadFile) else b""
        try:
            document = json.loads(raw)
            values = values_of(document, keep_id=True)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return self._entry(request, caller, {}, FormFault("record", "record"), status=422)
        return self._entry(request, caller, values)

    async def try_out(self, request: Request) -> Response:
        """Show what would be decided, and keep nothing."""
        return await self._submit(request, is_trial=True)

    async def decide(self, request: Request) -> Response:
        """Decide, record, and show the decision."""
        return await self._submit(request, is_trial=False)

    async def _submit(self, request: Request, *, is_trial: bool) -> Response:
        caller, form = await self.checked_form(request, "decide")
        values = {name: value for name, value in form.items() if isinstance(value, str) and name != "form"}
        desk = self._office.engine.desk
        entry = None if desk is None else Entry.of(desk, request)
        if entry is None:
            return self.page(request, "fault", caller, {"faults": self._office.faults}, 503)
        try:
            document = application_from(values, entry)
        except FormFault as fault:
            return self._entry(request, caller, values, fault, status=422)
        raw = json.dumps(document, sort_keys=True, ensure_ascii=False).encode("utf-8")
        body = DECISION.validator.validate_json(raw)
        if is_trial:
            made = self._office.preview(body)
            shown = None if made is None else made.document
            return self._entry(request, caller, values, trial=shown)
        answer = await self._office.decide(body, raw, caller)
        if answer.status == 200:
            return RedirectResponse(f"/desk/applications/{body.application_id}", 303)
        wrong = FormFault("application_id", "known") if answer.status == 409 else FormFault("", "unrecorded")
        return self._entry(request, caller, values, wrong, status=answer.status)

    # -- decisions ---------------------------------------------------------------------------------------------------

    async def show(self, request: Request) -> Response:
        """Show a decision with its reasons."""
        caller = self.caller(request, "read")
        return self._decision(request, "decision", caller)

    async def letter(self, request: Request) -> Response:
        """Show the letter that a declined applicant is owed."""
        caller = self.caller(request, "read")
        return self._decision(request, "letter", caller)

    async def override(self, request: Request) -> Response:
        """Record a person's word on a decision."""
        caller, form = await self.checked_form(request, "override")
        name = request.path_params["application_id"]
        try:
            body = OverrideBody.model_validate(
                {"decision": text_of(form, "decision"), "reason_code": text_of(form, "reason_code").strip()}
            )
        except ValueError:
            return self._decision(request, "decision", caller, "override", status=422)
        answer = await self._office.override(name, body, caller)
        if answer.status != 200:
            return self._decision(request, "decision", caller, "override_same", status=answer.status)
        return RedirectResponse(f"/desk/applications/{name}", 303)

    async def style(self, _: Request) -> Response:
        """Return the one style sheet."""
        return FileResponse(_STATIC / "page.css", media_type="text/css", headers={"x-content-type-options": "nosniff"})

    async def icon(self, _: Request) -> Response:
        """Return the icon of the browser's tab."""
        return FileResponse(
            _STATIC / "icon.svg", media_type="image/svg+xml", headers={"x-content-type-options": "nosniff"}
        )

    # -- small parts -------------------------------------------------------------------------------------------------

    def _decision(
        self, request: Request, template: str, caller: Caller, fault: str = "", status: int = 200
    ) -> Response:
        found: Answer = self._office.find(request.path_params["application_id"])
        if found.status != 200:
            raise StoppedError(404)
        document: dict[str, Any] = json.loads(found.content)
        answer = document["answer"]
        language = language_of(request)
        more = {
            "answer": answer,
            "current": document["current"],
            "overrides": document["overrides"],
            "fault": fault,
            "may_override": allowed(caller, "override"),
            "may_decide": allowed(caller, "decide"),
            "portrait": portrait_picture(answer.get("portrait"), language),
            "scale": score_picture(answer.get("score"), answer.get("cutoff")),
        }
        return self.page(request, template, caller, more, status)

    def _entry(
        self,
        request: Request,
        caller: Caller,
        values: dict[str, str],
        fault: FormFault | None = None,
        *,
        trial: dict[str, Any] | None = None,
        status: int = 200,
    ) -> Response:
        desk = self._office.engine.desk
        if desk is None:
            return self.page(request, "fault", caller, {"faults": self._office.faults}, 503)
        more = {
            "entry": Entry.of(desk, request),
            "values": values,
            "fault": fault,
            "trial": trial,
            "may_soft": allowed(caller, "soft"),
            "portrait": portrait_picture(trial.get("portrait"), language_of(request)) if trial else None,
            "scale": score_picture(trial.get("score"), trial.get("cutoff")) if trial else None,
        }
        return self.page(request, "entry", caller, more, status)
