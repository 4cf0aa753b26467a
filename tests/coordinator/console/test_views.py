"""What each page shows, and what its forms do."""

import json
import re
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from audit.cli import main as audit
from coordinator.account_store import ROLES
from coordinator.sightings import Lookout
from coordinator.store import Store
from privacy.log.checkpoint import verify_checkpoint
from privacy.log.note import VerifierKey
from privacy.log.record import decode_event
from privacy.log.tree import leaf_hash, verify_inclusion
from tests.coordinator.console.room import Room, open_room
from tests.node.bank import SCHEMA


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("views")) as opened:
        yield opened


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Room]:
    """Return a room that a test may change."""
    with open_room(tmp_path) as opened:
        yield opened


def words(page: str) -> str:
    """Return a page's visible text on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def row(page: str, name: str) -> str:
    found = [each for each in re.findall(r"<tr>.*?</tr>", page, re.S) if name in each]
    return words(found[0])


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/members",
        "/enrolment",
        "/live",
        "/jobs",
        "/jobs/new",
        "/measures",
        "/models",
        "/privacy",
        "/log",
        "/health",
    ],
)
def test_every_page_is_drawn_in_both_languages(room: Room, path: str, language: str) -> None:
    page = room.browser("operator").get(f"{path}?lang={language}")
    assert page.status_code == 200
    tag = {"en": "en", "zh": "zh-Hans"}[language]
    assert f'<html lang="{tag}">' in page.text
    assert page.headers["content-language"] == tag
    assert page.text.count("<h1>") == 1
    for forbidden in ("<style", "style=", "<script>", "onclick=", "hx-on", "http://", "https://"):
        assert forbidden not in page.text
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", page.text))


def test_a_menu_shows_a_role_its_own_views(room: Room) -> None:
    for role in ROLES:
        page = room.browser(role).get("/").text
        menu = re.findall(r'<li><a href="(/[a-z]*)"', page)
        assert menu
        for path in menu:
            assert room.browser(role).get(path).status_code == 200


def test_values_are_escaped(own: Room) -> None:
    own.store.add_event(own.queued, "job-failed", {"reason": "<script>alert(1)</script>", "seconds": "<b>"})
    page = own.browser("operator").get(f"/jobs/{own.queued}").text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "<b>" not in page


# members


def test_members_show_who_was_seen(own: Room) -> None:
    class Seen:
        def last_heard(self, member: str) -> float | None:
            return 99.0 if member == "bank-1" else None

        def is_here(self, member: str, now: float) -> bool:
            return member == "bank-1"

    lookout = Lookout(own.folder, Seen())  # type: ignore[arg-type]
    content = lookout.look(["bank-0", "bank-1"], 100.0, own.desk.now_us())
    assert content is not None
    lookout.write(content)
    page = own.browser("operator").get("/members").text
    assert "connected" in row(page, "bank-1") and "UTC" in row(page, "bank-1")
    assert "away" in row(page, "bank-0")
    assert "not known" in row(page, "bank-2")


def test_a_bank_is_suspended_only_by_typing_its_name(own: Room) -> None:
    browser = own.browser("operator")
    assert browser.post("/members/bank-2/suspend", {"typed": "bank-1"}).status_code == 400
    assert {member.status for member in own.store.members()} == {"active"}
    assert browser.post("/members/bank-2/suspend", {"typed": " bank-2 "}).status_code == 303
    assert "suspended" in row(browser.get("/members").text, "bank-2")
    assert browser.post("/members/bank-2/readmit").status_code == 303
    assert "active" in row(browser.get("/members").text, "bank-2")
    subject = own.accounts["operator"].pseudonym
    assert [(note["subject"], note["action"]) for note in own.notes()] == [(subject, "suspend"), (subject, "restore")]


def test_an_auditor_is_offered_no_form(room: Room) -> None:
    for path in ("/members", "/models", f"/models/{room.model}", f"/jobs/{room.job}", "/enrolment"):
        forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', room.browser("auditor").get(path).text)
        assert forms == ["/logout"]


# jobs


def test_a_failure_is_told_with_cause_and_next_step(room: Room) -> None:
    for language, cause, step in (
        ("en", "A bank was lost", "Ask the lost bank"),
        ("zh", "有银行失联", "请联系失联银行"),
    ):
        page = room.browser("risk").get(f"/jobs/{room.failed}?lang={language}").text
        assert cause in page and step in page


def test_a_long_history_comes_in_pages(room: Room) -> None:
    browser = room.browser("risk")
    first = browser.get(f"/jobs/{room.job}?show=all").text
    assert first.count('<div class="when">') == 40
    second = browser.get(f"/jobs/{room.job}?show=all&page=1").text
    assert second.count('<div class="when">') == 22
    assert browser.get(f"/jobs/{room.job}").text.count('<div class="when">') == 2
    assert browser.get(f"/jobs/{room.failed}?show=trouble").text.count('<div class="when">') == 2


@pytest.mark.parametrize(
    "query", ["page=-1", "page=x", "page=99999999999", "show=nothing", "page=1&page=2", "lang=%00"]
)
def test_an_odd_query_is_no_fault(room: Room, query: str) -> None:
    assert room.browser("risk").get(f"/jobs/{room.job}?{query}").status_code == 200


def test_jobs_are_filtered_by_state(room: Room) -> None:
    page = room.browser("risk").get("/jobs?state=failed").text
    assert room.failed in page and room.job not in page


def test_an_unknown_job_is_not_found(room: Room) -> None:
    answer = room.browser("risk").get("/jobs/job-9999-x")
    assert answer.status_code == 404
    assert "There is no such job" in answer.text


FORM = {
    "recipe": "scorecard", "purpose": "credit-risk-model", "seed": "0", "holdout": "0.3", "max_rows": "4096",
    "exactness": "exact", "epsilon": "3", "delta": "0.000001", "parameters": "",
}  # fmt: skip


def schema_of(room: Room) -> str:
    found = re.search(r'<option value="([0-9a-f]{64})"', room.browser("risk").get("/jobs/new").text)
    assert found is not None
    return found.group(1)


def test_a_plan_names_rounds_bytes_and_banks(room: Room) -> None:
    answer = room.browser("risk").post("/jobs/preview", {**FORM, "schema": schema_of(room)})
    text = words(answer.text)
    assert answer.status_code == 200
    assert re.search(r"Rounds about \d+", text) and re.search(r"Upload of each bank about [\d.]+ kB", text)
    assert "5 are active; at least 4 are needed" in text
    assert "exact sums: no ε is spent" in text


def test_a_plan_with_a_promise_names_its_noise(room: Room) -> None:
    answer = room.browser("risk").post("/jobs/preview", {**FORM, "schema": schema_of(room), "exactness": "dp"})
    assert re.search(r"ε = 3 at δ = 0.000001; noise multiplier \d\.\d{3}", words(answer.text))


def test_a_job_is_queued_as_the_command_would(own: Room) -> None:
    browser = own.browser("risk")
    form = {**FORM, "schema": schema_of(own), "step": "submit"}
    answer = browser.post("/jobs", form)
    assert answer.status_code == 303
    job = own.store.job(answer.headers["location"].removeprefix("/jobs/"))
    assert job.state == "queued"
    expected = own.store.job(own.job).spec
    assert (job.spec["schema"], job.spec["parameters"]) == (expected["schema"], expected["parameters"])
    assert {name: job.spec["job"][name] for name in expected["job"]} == expected["job"]
    assert own.notes()[-1]["resource"] == job.id


def test_a_job_may_wait_for_its_time(own: Room) -> None:
    browser, form = own.browser("risk"), {**FORM, "schema": schema_of(own), "step": "submit"}
    assert browser.post("/jobs", {**form, "not_before": "2030-01-02 03:04"}).status_code == 303
    assert own.store.jobs()[-1].not_before == 1_893_553_440_000_000
    assert browser.post("/jobs", {**form, "not_before": "tomorrow"}).status_code == 400


def test_a_dictionary_may_be_uploaded(own: Room) -> None:
    files = {"schema_file": ("schema.toml", SCHEMA.encode(), "application/toml")}
    answer = own.browser("operator").post("/jobs", {**FORM, "step": "submit"}, files=files)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": "../x"}, "recipe"),
        ({"recipe": "nothing"}, "not installed"),
        ({"seed": "-1"}, "whole number"),
        ({"holdout": "2"}, "holdout"),
        ({"holdout": "nan"}, "holdout"),
        ({"max_rows": "9" * 30}, "whole number"),
        ({"parameters": "x = ["}, "parameters"),
        ({"parameters": "nonsense = 1"}, "nonsense"),
        ({"exactness": "dp", "epsilon": "a lot"}, "epsilon"),
        ({"schema": "ab" * 32}, "data dictionary"),
        ({"purpose": ""}, "purpose"),
    ],
)
def test_a_mistake_is_one_line_and_queues_nothing(own: Room, change: dict[str, str], said: str) -> None:
    before = len(own.store.jobs())
    answer = own.browser("risk").post("/jobs", {**FORM, "schema": schema_of(own), "step": "submit", **change})
    assert answer.status_code == 400
    alarm = re.search(r'role="alert"><p>(.*?)</p>', answer.text, re.S)
    assert alarm is not None and said in words(alarm.group(1))
    assert len(own.store.jobs()) == before


def test_a_bad_upload_is_refused(own: Room) -> None:
    for content, said in ((b"\xff", "TOML"), (b"a = 1", "data dictionary"), (b"#" * (2**20 + 1), "413|larger")):
        files = {"schema_file": ("s.toml", content, "application/toml")}
        answer = own.browser("risk").post("/jobs", {**FORM, "step": "submit"}, files=files)
        assert answer.status_code in (400, 413)
        assert re.search(said, answer.text) or answer.status_code == 413


def test_a_form_is_filled_in_from_an_earlier_job(room: Room) -> None:
    page = room.browser("risk").get(f"/jobs/new?like={room.job}").text
    assert 'value="4096"' in page and f'value="{schema_of(room)}" selected' in page


def test_an_operator_pauses_goes_on_and_cancels(own: Room) -> None:
    browser = own.browser("operator")
    for asked, wish in (("pause", "pause"), ("go", ""), ("cancel", "")):
        assert browser.post(f"/jobs/{own.queued}/wish", {"wish": asked}).status_code == 303
        assert own.store.job(own.queued).wish == wish
    assert own.store.job(own.queued).state == "cancelled"
    assert browser.post(f"/jobs/{own.queued}/wish", {"wish": "go"}).status_code == 400
    assert browser.post(f"/jobs/{own.job}/wish", {"wish": "cancel"}).status_code == 400
    assert browser.post(f"/jobs/{own.queued}/wish", {"wish": "explode"}).status_code == 400


# what was learned


def test_figures_and_their_curves_are_tables(room: Room) -> None:
    page = room.browser("risk").get("/measures").text
    assert "0.8125" in row(page, room.job)
    assert page.count("<figure data-chart") == page.count("<table>") - 1 == 2
    assert "stays there" in page and "0.2993" in page  # 264 of 882


def test_a_model_shows_its_origin(room: Room) -> None:
    page = room.browser("auditor").get(f"/models/{room.model}").text
    assert room.model in page and room.job in page and "0.8125" in page
    assert room.browser("auditor").get(f"/models/{'0' * 64}").status_code == 404


def test_a_model_file_is_given_whole_and_noted(own: Room) -> None:
    answer = own.browser("risk").get(f"/models/{own.model}/file")
    assert sha256(answer.content).hexdigest() == own.model
    assert own.notes()[-1]["action"] == "download-model"


def test_an_altered_model_file_is_not_given(own: Room) -> None:
    (own.folder / "models" / f"{own.model}.json").write_text("{}")
    answer = own.browser("risk").get(f"/models/{own.model}/file")
    assert answer.status_code == 500 and "altered" in answer.text


def test_a_proposal_needs_a_lineage(own: Room) -> None:
    answer = own.browser("operator").post(f"/models/{own.model}/propose", {"role": "champion"})
    assert answer.status_code == 404 and "No manifest" in answer.text
    assert own.browser("operator").post(f"/models/{own.model}/propose", {"role": "king"}).status_code == 400


def test_the_ledger_adds_promises_up_and_looks_ahead(room: Room) -> None:
    page = words(room.browser("auditor").get("/privacy?budget=10&each=3").text)
    assert "Room for 2 more jobs" in page
    assert "Room for 0 more jobs" in words(room.browser("risk").get("/privacy?budget=2&each=3").text)
    assert room.browser("risk").get("/privacy?budget=nan&each=-1").status_code == 200


# log and health


def test_the_log_is_filtered_and_paged(room: Room) -> None:
    browser = room.browser("auditor")
    page = browser.get("/log?kind=alarm.raised").text
    assert page.count('<a href="/log/') - page.count('<a href="/log/export') == 1
    first = browser.get("/log").text
    older = re.search(r"before=(\d+)", first)
    assert older is not None
    second = browser.get(f"/log?before={older.group(1)}").text
    shown = [set(re.findall(r'<a href="/log/(\d+)"', each)) for each in (first, second)]
    assert len(shown[0]) == 50 and shown[1] and not shown[0] & shown[1]
    for odd in ("before=-1", "before=x", "kind=nothing", "job=%00", "before=99999999999999999999"):
        assert browser.get(f"/log?{odd}").status_code == 200


def test_a_proof_leads_from_the_record_to_the_signed_root(room: Room) -> None:
    answer = room.browser("auditor").get("/log/1/proof")
    found = json.loads(answer.text)
    key = VerifierKey.parse(found["vkey"])
    head = verify_checkpoint(found["checkpoint"].encode(), key, found["origin"])
    encoded = found["event"].encode()
    assert decode_event(encoded).kind == "alarm.raised"
    verify_inclusion(
        leaf_hash(encoded), found["index"], head.size, [b64decode(step) for step in found["path"]], head.root
    )
    assert room.browser("auditor").get("/log/99999/proof").status_code == 404


@pytest.mark.parametrize("index", [str(2**63 - 1), "9" * 40])
def test_an_index_beyond_any_log_is_not_found(room: Room, index: str) -> None:
    for path in (f"/log/{index}", f"/log/{index}/proof"):
        assert room.browser("auditor").get(path).status_code == 404


def test_an_export_is_verified_offline(own: Room, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = own.browser("auditor").get("/log/export")
    file = tmp_path / "export.jsonl"
    file.write_bytes(answer.content)
    assert answer.headers["x-content-sha256"] == sha256(answer.content).hexdigest()
    assert own.notes()[-1]["resource"].endswith(sha256(answer.content).hexdigest())
    assert audit(["verify", str(file)]) in (0, 3), capsys.readouterr().out


def test_health_says_what_to_do(own: Room) -> None:
    page = own.browser("operator").get("/health").text
    assert "The coordinator does not run" in page and "creditmesh-coordinator run" in page
    (own.folder / "keys" / "server.key").chmod(0o644)
    page = own.browser("operator").get("/health").text
    assert "Other users can read: server.key" in page and "chmod 600" in page


def test_a_console_before_the_first_start_of_the_coordinator(tmp_path: Path) -> None:
    with open_room(tmp_path) as room:
        for name in ("log.db", "log.db-wal", "log.db-shm"):
            (room.folder / name).unlink(missing_ok=True)
        for path in ("/", "/log", "/health"):
            assert room.browser("operator").get(path).status_code == 200
        assert room.browser("operator").get("/log/1").status_code == 400


def test_a_closed_database_is_one_line(own: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    from privacy.errors import InputError

    def broken(_self: Store) -> None:
        raise InputError("database-unusable", "the database cannot be used: gone")

    monkeypatch.setattr(Store, "jobs", broken)
    answer = own.browser("risk").get("/jobs")
    assert answer.status_code == 400 and "cannot be used at the moment" in answer.text
