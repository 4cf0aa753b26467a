"""The bank's own pages: who may see and decide, what a decision leaves behind, and that nothing is shown unproved."""

import asyncio
import sqlite3
import tomllib
from collections.abc import Callable, Coroutine
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.offer_book import OfferBook
from node.page import bank_figures, bank_routes, frame
from node.page.doctor_run import DoctorRun
from tests.node.page.bank_site import JOB, OFFERED, Site, Visitor, make_site, visited

PATHS = ("/bank", "/bank/jobs", "/bank/models", "/bank/budget", "/bank/log", "/bank/log/3", "/bank/doctor")


def run(folder: Path, role: str | None, test: Callable[[Site, Visitor], Coroutine[Any, Any, None]]) -> None:
    site = make_site(folder)

    async def whole() -> None:
        async with visited(site, role) as visitor:
            await test(site, visitor)

    asyncio.run(whole())


@pytest.mark.parametrize("role", ["risk", "auditor", "approver"])
def test_every_page_is_there_in_both_languages(tmp_path: Path, role: str) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        for path in PATHS:
            english, chinese = await visitor.get(path), await visitor.get(path, "zh-CN")
            assert english.status_code == chinese.status_code == 200, path
            assert 'lang="en"' in english.text and 'lang="zh-CN"' in chinese.text and "本行节点" in chinese.text
            policy = english.headers["content-security-policy"]
            assert "default-src 'none'" in policy and "script" not in policy and "<script" not in english.text
            assert " style=" not in english.text and "http://" not in english.text.replace("http://www.w3.org", "")

    run(tmp_path, role, test)


def test_both_languages_say_the_same_things() -> None:
    here = Path(frame.__file__).parent

    def keys(table: dict[str, Any]) -> dict[str, Any]:
        return {name: keys(value) if isinstance(value, dict) else None for name, value in table.items()}

    english, chinese = (tomllib.loads((here / f"bank_{name}.toml").read_text("utf-8")) for name in ("en", "zh"))
    assert keys(english) == keys(chinese)


@pytest.mark.parametrize("role", ["scorer", "account-manager"])
def test_who_decides_on_applicants_does_not_see_the_bank_s_pages(tmp_path: Path, role: str) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        for path in PATHS:
            assert (await visitor.get(path)).status_code == 403
        assert "/bank/jobs" not in (await visitor.get("/desk")).text

    run(tmp_path, role, test)


def test_an_approver_sees_no_applicant(tmp_path: Path) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        assert (await visitor.get("/desk")).status_code == 403
        assert 'href="/desk"' not in (await visitor.get("/bank")).text

    run(tmp_path, "approver", test)


def test_nobody_sees_anything_without_signing_in(tmp_path: Path) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        for path in PATHS:
            answer = await visitor.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, "/desk/sign-in")

    run(tmp_path, None, test)


@pytest.mark.parametrize(("verdict", "accepted"), [("approve", True), ("refuse", False)])
def test_a_decision_goes_the_way_of_the_command_and_bears_a_name(tmp_path: Path, verdict: str, accepted: bool) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        page = (await visitor.get("/bank/jobs")).text
        assert OFFERED in page and "alpha, beta, delta, gamma" in page
        answer = await visitor.post(f"/bank/jobs/{OFFERED}", verdict=verdict, reason=" seen <b>twice</b> ")
        assert (answer.status_code, answer.headers["location"]) == (303, "/bank/jobs")
        decision = OfferBook(site.state).decision(OFFERED)
        assert decision is not None
        assert (decision.who, decision.accepted, decision.reason) == (
            "some-approver", accepted, "seen <b>twice</b>"
        )  # fmt: skip
        noted = [each for each in site.notes() if each["resource"] == OFFERED]
        assert [(each["subject"], each["action"]) for each in noted] == [("some-approver", f"{verdict}-job")]
        after = (await visitor.get("/bank/jobs")).text
        assert "&lt;b&gt;twice" in after and "Nothing waits." in after

    run(tmp_path, "approver", test)


def test_a_decision_is_not_taken_back(tmp_path: Path) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        await visitor.get("/bank/jobs")
        OfferBook(site.state).decide(OFFERED, "somebody", False)
        answer = await visitor.post(f"/bank/jobs/{OFFERED}", verdict="approve")
        assert answer.status_code == 409 and "Somebody here decided already" in answer.text
        decision = OfferBook(site.state).decision(OFFERED)
        assert decision is not None and not decision.accepted
        unknown = await visitor.post("/bank/jobs/job-0009-none", verdict="approve")
        assert unknown.status_code == 409 and "does not wait any more" in unknown.text

    run(tmp_path, "approver", test)


@pytest.mark.parametrize("role", ["risk", "auditor"])
def test_only_an_approver_decides(tmp_path: Path, role: str) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        page = await visitor.get("/bank/jobs")
        assert "verdict" not in page.text
        assert (await visitor.post(f"/bank/jobs/{OFFERED}", verdict="approve")).status_code == 403
        assert OfferBook(site.state).decision(OFFERED) is None

    run(tmp_path, role, test)


@pytest.mark.parametrize("fields", [{"verdict": "maybe"}, {"verdict": "approve", "reason": "x" * 257}, {}])
def test_a_form_that_the_page_does_not_make_decides_nothing(tmp_path: Path, fields: dict[str, str]) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        await visitor.get("/bank/jobs")
        assert (await visitor.post(f"/bank/jobs/{OFFERED}", **fields)).status_code == 422
        visitor.form = "0" * 64
        assert (await visitor.post(f"/bank/jobs/{OFFERED}", verdict="approve")).status_code == 403
        assert OfferBook(site.state).decision(OFFERED) is None

    run(tmp_path, "approver", test)


def test_what_an_auditor_looks_up_is_noted_before_it_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        await visitor.get("/bank/log?kind=access.checked")
        assert [(each["subject"], each["action"], each["resource"]) for each in site.notes()][-1:] == [
            ("some-auditor", "page-read", "log kind=access.checked job= before=")
        ]

        def full(*_: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(bank_routes, "leave_note", full)
        answer = await visitor.get("/bank/budget")
        assert answer.status_code == 503 and "has to be recorded" in answer.text

    run(tmp_path, "auditor", test)


def test_names_of_others_do_not_reach_a_server_on_loopback(tmp_path: Path) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        visitor.client.base_url = httpx.URL("http://127.0.0.1:8090")
        for host, status in (("127.0.0.1:8090", 303), ("localhost:8090", 303), ("[::1]:8090", 303),
                             ("evil.example", 421), ("127.0.0.1.evil.example:8090", 421), ("[", 421)):  # fmt: skip
            answer = await visitor.client.get("/bank/jobs", headers={"host": host})
            assert answer.status_code == status, host

    run(tmp_path, None, test)


def test_a_form_of_another_origin_decides_nothing(tmp_path: Path) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        await visitor.get("/bank/jobs")
        fields = {"form": visitor.form, "verdict": "approve"}
        for origin, status in (("http://evil.example", 403), ("null", 403), ("http://bank", 303)):
            answer = await visitor.client.post(f"/bank/jobs/{OFFERED}", data=fields, headers={"origin": origin})
            assert answer.status_code == status, origin

    run(tmp_path, "approver", test)


@pytest.mark.parametrize("role", ["approver", "risk"])
def test_signing_out_ends_the_session(tmp_path: Path, role: str) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        await visitor.get("/bank")
        assert (await visitor.post("/desk/sign-out")).status_code == 303
        assert (await visitor.get("/bank")).headers["location"] == "/desk/sign-in"

    run(tmp_path, role, test)


def test_others_leave_no_note_by_looking(tmp_path: Path) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        for path in PATHS:
            await visitor.get(path)
        assert [each for each in site.notes() if each["action"] == "page-read"] == []

    run(tmp_path, "risk", test)


def test_the_comparison_shows_the_bank_s_own_figures(tmp_path: Path) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        page = (await visitor.get("/bank/models")).text
        for figure in ("0.6123", "0.7000", "0.7100", "0.3100", "0.0400", "0.0200", "0.7235"):
            assert figure in page, figure
        assert "mixed (chosen)" in page and "a1" * 32 in page and JOB in page

    run(tmp_path, "risk", test)


def test_the_budget_forecasts_until_the_cap_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_routes, "_now_us", lambda: 1_700_000_100_000_000)

    async def test(site: Site, visitor: Visitor) -> None:
        account, job, forecast = bank_figures.budget_of(site.config, 1_700_000_100_000_000)
        page = (await visitor.get("/bank/budget")).text
        assert job == JOB and f"{account.epsilon:.4f}" in page and account.jobs[0].sent == 3
        assert [each.more for each in forecast] == list(range(1, len(forecast) + 1))
        assert all(before.epsilon < after.epsilon for before, after in pairwise(forecast))
        assert account.epsilon < forecast[0].epsilon and all(each.allowed for each in forecast[:-1])
        assert all(f"{each.epsilon:.4f}" in page for each in forecast)

    run(tmp_path, "risk", test)


def test_a_changed_ledger_is_said_and_not_shown(tmp_path: Path) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        path = site.state / "ledger"
        path.write_bytes(path.read_bytes().replace(b'"round":1', b'"round":2', 1))
        answer = await visitor.get("/bank/budget")
        assert answer.status_code == 503 and "The ledger was changed" in answer.text

    run(tmp_path, "risk", test)


def test_the_log_is_paged_and_filtered(tmp_path: Path) -> None:
    async def test(_site: Site, visitor: Visitor) -> None:
        first = (await visitor.get("/bank/log")).text
        assert first.count('<td class="number"><a') == 50 and "Older records" in first
        older = (await visitor.get("/bank/log?before=11")).text
        assert older.count('<td class="number"><a') == 11 and "Older records" not in older
        assert "No record of this kind" in (await visitor.get("/bank/log?kind=alarm.raised")).text
        for wrong in ("kind=a%22b", "kind=" + "x" * 65, "before=1e3", "before=" + "9" * 16, "job=%E5%90%8D"):
            assert (await visitor.get(f"/bank/log?{wrong}")).status_code == 422

    run(tmp_path, "risk", test)


def test_a_record_is_shown_with_a_proof_that_leads_to_the_root(tmp_path: Path) -> None:
    async def test(site: Site, visitor: Visitor) -> None:
        page = (await visitor.get("/bank/log/3")).text
        assert "the proof leads to the signed root" in page and "alpha/privacy-log" in page
        for absent in (61, 10**9, 2**63, 10**30):
            assert (await visitor.get(f"/bank/log/{absent}")).status_code == 404
        with sqlite3.connect(site.state / "log.db") as database:
            raw = bytes(database.execute("SELECT event FROM event WHERE seq = 3").fetchone()[0])
            changed = raw.replace(b"folder-2", b"folder-9")
            assert changed != raw
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                database.execute(f"DROP TRIGGER {name}")
            database.execute("UPDATE event SET event = ? WHERE seq = 3", (changed,))
        answer = await visitor.get("/bank/log/3")
        assert answer.status_code == 503 and "does not lead to its signed root" in answer.text

    run(tmp_path, "risk", test)


def test_the_doctor_is_asked_once_somebody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def report(_self: object) -> dict[str, Any]:
        asked.append(1)
        finding = {"check": "clock", "title": "clock", "title_zh": "时钟", "state": "wrong", "text": "a day <off>"}
        return {"exit_code": 1, "findings": [finding]}

    monkeypatch.setattr(DoctorRun, "report", report)

    async def test(_site: Site, visitor: Visitor) -> None:
        assert "What was found" not in (await visitor.get("/bank/doctor")).text and asked == []
        page = (await visitor.get("/bank/doctor?run=1", "zh-CN")).text
        assert "时钟" in page and "a day &lt;off&gt;" in page and asked == [1]

    run(tmp_path, "risk", test)


def test_jobs_without_a_node_s_files_are_no_error(tmp_path: Path) -> None:
    assert bank_figures.jobs_of(tmp_path) == [] and bank_figures.comparisons(tmp_path) == []
    (tmp_path / "jobs" / "job-1").mkdir(parents=True)
    (tmp_path / "jobs" / "job-1" / "result.json").write_text("{")
    (found,) = bank_figures.jobs_of(tmp_path)
    assert (found["state"], found["sums"], found["offer"]) == ("running", 0, None)
