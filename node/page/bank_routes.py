"""The bank's own pages over HTTP: overview, jobs and who agrees to them, models, budget, log with proofs, doctor.

They decide nothing by themselves: a decision on a job goes the way of `creditmesh-node approve`, and everything else is
read. Theory: what concerns the bank alone (its own models' figures, its ledger, its log) is served by the bank's own
node and not by the coordinator's console. An approver agrees to jobs and cannot change what is asked; an auditor sees
everything here, changes nothing, and what is looked up is noted for the log before the page is sent.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from node.access import leave_note
from node.config import NodeConfig
from node.offer_book import OfferBook
from node.page.bank_figures import WIDTH, budget_of, comparisons, jobs_of
from node.page.doctor_run import DoctorRun
from node.page.frame import Frame, language_of
from node.page.log_reader import PAGE, LogReader
from node.page.visits import StoppedError, Visits, text_of
from node.scorer.sessions import Sessions
from node.tokens import Caller
from privacy.errors import InputError, PrivacyError

__all__ = ["add_bank_pages"]

_LONGEST_REASON = 256


def add_bank_pages(app: FastAPI, config: NodeConfig, source: Path) -> None:
    """Add the pages under `/bank` to an app of `node.scorer.app`; source: the file of the settings."""
    pages = _BankPages(app.state.sessions, Frame(config.member.id), config, source)
    routes: tuple[tuple[str, str, Callable[[Request], Awaitable[Response]]], ...] = (
        ("GET", "/bank", pages.overview),
        ("GET", "/bank/jobs", pages.jobs),
        ("POST", "/bank/jobs/{job}", pages.decide),
        ("GET", "/bank/models", pages.models),
        ("GET", "/bank/budget", pages.budget),
        ("GET", "/bank/log", pages.log),
        ("GET", "/bank/log/{seq:int}", pages.record),
        ("GET", "/bank/doctor", pages.doctor),
    )
    app.router.routes.extend(Route(path, pages.guarded(run), methods=[method]) for method, path, run in routes)


class _BankPages(Visits):
    def __init__(self, sessions: Sessions, frame: Frame, config: NodeConfig, source: Path) -> None:
        super().__init__(sessions, frame)
        self._config, self._state = config, config.state.dir
        self._reader, self._doctor = LogReader(config.state.dir), DoctorRun(sys.executable, source)

    async def overview(self, request: Request) -> Response:
        """Show what waits, what is in force, and where the budget and the log stand."""

        def look() -> dict[str, Any]:
            account, _, _ = budget_of(self._config, _now_us())
            return {
                "waiting": [each for each in jobs_of(self._state) if each["state"] == "waiting"],
                "latest": jobs_of(self._state)[:5],
                "models": comparisons(self._state),
                "account": account,
                "records": self._reader.size(),
                "approval": self._config.permit.approval,
            }

        return await self._shown(request, "bank_overview", look)

    async def jobs(self, request: Request) -> Response:
        """List the jobs that wait for a person here, and the others."""
        return await self._shown(request, "bank_jobs", self._jobs)

    def _jobs(self, fault: str = "") -> dict[str, Any]:
        found = jobs_of(self._state)
        waiting = [each for each in found if each["state"] == "waiting"]
        others = [each for each in found if each["state"] != "waiting"]
        return {"waiting": waiting, "others": others, "approval": self._config.permit.approval, "fault": fault}

    async def decide(self, request: Request) -> Response:
        """Agree to a job that waits, or refuse it."""
        caller, form = await self.checked_form(request, "approve")
        job, verdict = request.path_params["job"], text_of(form, "verdict")
        reason = text_of(form, "reason").strip()
        if verdict not in ("approve", "refuse") or len(reason) > _LONGEST_REASON:
            raise StoppedError(422)

        def write() -> None:
            OfferBook(self._state).decide(job, caller.name, verdict == "approve", reason)
            leave_note(self._state, f"{verdict}-job", job, caller.name)

        try:
            await asyncio.to_thread(write)
        except OSError:
            raise StoppedError(503) from None
        except InputError as error:
            return self.page(request, "bank_jobs", caller, await asyncio.to_thread(self._jobs, error.code), 409)
        return RedirectResponse("/bank/jobs", 303)

    async def models(self, request: Request) -> Response:
        """Compare the bank's own model, the network's and their mix, for every job."""
        return await self._shown(request, "bank_models", lambda: {"models": comparisons(self._state), "width": WIDTH})

    async def budget(self, request: Request) -> Response:
        """Show what jobs with noise have cost, and what more of them would."""

        def look() -> dict[str, Any]:
            account, job, forecast = budget_of(self._config, _now_us())
            permit = self._config.permit
            return {"account": account, "repeated": job, "forecast": forecast, "permit": permit, "width": WIDTH}

        return await self._shown(request, "bank_budget", look)

    async def log(self, request: Request) -> Response:
        """List the log's records, newest first."""
        asked = request.query_params
        kind, job = asked.get("kind", "").strip(), asked.get("job", "").strip()
        before = asked.get("before", "")
        if not all(_plain(each) for each in (kind, job)) or (before and not before.isdigit()) or len(before) > 15:
            raise StoppedError(422)

        def look() -> dict[str, Any]:
            size = self._reader.size()
            events = self._reader.page(kind, job, int(before) if before else 2**62)
            more = events[-1].seq if len(events) == PAGE else None
            return {"events": events, "size": size, "kind": kind, "job": job, "more": more, "state": self._state}

        return await self._shown(request, "bank_log", look, f"log kind={kind} job={job} before={before}")

    async def record(self, request: Request) -> Response:
        """Show one record with its proof."""
        seq = int(request.path_params["seq"])

        def look() -> dict[str, Any]:
            proven = self._reader.prove(seq) if seq < 2**62 else None
            if proven is None:
                raise StoppedError(404)
            return {"proven": proven, "text": proven.event.encoded.decode("utf-8"), "state": self._state}

        return await self._shown(request, "bank_record", look, f"log record {seq}")

    async def doctor(self, request: Request) -> Response:
        """Examine the node, as `creditmesh-node doctor` does."""
        caller = self.caller(request, "bank")
        await self._note(caller, "doctor")
        report = await self._doctor.report() if "run" in request.query_params else None
        return self.page(request, "bank_doctor", caller, {"report": report, "zh": language_of(request) == "zh"})

    async def _shown(
        self, request: Request, template: str, look: Callable[[], dict[str, Any]], resource: str = ""
    ) -> Response:
        caller = self.caller(request, "bank")
        await self._note(caller, resource or request.url.path)
        try:
            more = await asyncio.to_thread(look)
        except PrivacyError as error:
            return self.page(request, "bank_fault", caller, {"code": error.code, "message": error.message}, 503)
        return self.page(request, template, caller, more)

    async def _note(self, caller: Caller, resource: str) -> None:
        """Note what an auditor looks up; without the note there is no page."""
        if caller.role != "auditor":
            return
        try:
            try:
                await asyncio.to_thread(leave_note, self._state, "page-read", resource, caller.name)
            except OSError:
                raise StoppedError(503) from None
        except OSError:
            raise StoppedError(503) from None


def _plain(text: str) -> bool:
    return len(text) <= 64 and all(each.isalnum() or each in "._-" for each in text) and text.isascii()


def _now_us() -> int:
    return time.time_ns() // 1000
