"""The decision API: who may, what comes back, that it comes back the same, and that it stands in the log first."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audit.cli import main as audit
from node.access import take_notes
from node.decision_store import DecisionStore
from node.scorer.answers import BatchAnswer, DecisionAnswer, DecisionFile, ModelAnswer, ScoreAnswer
from node.scorer.recorder import application_ref, body_commitment, load_ref_key
from node.scorer.serve import open_office
from node.tokens import TokenFile
from privacy.errors import InputError
from tests.node.scorer.bank_desk import applicants, body, make_bank
from tests.node.scorer.client import Api, api_of

Test = Callable[[Api], Coroutine[Any, Any, None]]


def with_api(folder: Path, test: Test, **options: Any) -> None:
    async def run() -> None:
        async with api_of(make_bank(folder, **options)) as api:
            await test(api)

    asyncio.run(run())


def events(folder: Path) -> list[dict[str, Any]]:
    with sqlite3.connect(folder / "state/decisions/log.db") as database:
        return [json.loads(row[0]) for row in database.execute("SELECT event FROM event ORDER BY seq")]


def test_an_answer_is_whole_and_adds_up(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        for number in range(12):
            answer = await api.decide(body(number))
            DecisionAnswer.model_validate(answer, strict=False)
            assert answer["score"] == sum(answer["dimensions"].values())
            assert answer["price"]["basis_points"] == sum(answer["price"]["components"].values())
            assert len(answer["reasons"]) <= 4 and answer["human_review"]["available"] is True
            assert all(reason["text_en"] and reason["text_zh"] for reason in answer["reasons"])

    with_api(tmp_path, test, challenger="trees")


@pytest.mark.parametrize("champion", ["trees", "head"])
def test_other_models_serve_as_well(tmp_path: Path, champion: str) -> None:
    async def test(api: Api) -> None:
        answer = await api.decide(body(1))
        DecisionAnswer.model_validate(answer)
        assert answer["model"]["kind"] == ("mixed" if champion == "head" else "network")
        assert answer["score"] == sum(answer["dimensions"].values())

    with_api(tmp_path, test, champion=champion)


def test_the_same_application_has_one_answer(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        content = body(7)
        first = await api.call("POST", "/v1/decisions", content)
        again = await api.call("POST", "/v1/decisions", content)
        reordered = json.dumps(dict(reversed(json.loads(content).items())), indent=1).encode()
        third = await api.call("POST", "/v1/decisions", reordered)
        assert first.content == again.content == third.content and third.status_code == 200
        other = await api.call("POST", "/v1/decisions", body(7, requested_amount=1))
        assert other.status_code == 409 and other.json()["code"] == "application-known"
        assert (await api.call("POST", "/v1/decisions", content)).content == first.content

    with_api(tmp_path, test)
    assert [event["kind"] for event in events(tmp_path)].count("decision.made") == 1


def test_many_at_once_with_one_id_are_decided_once(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        same = [api.call("POST", "/v1/decisions", body(3)) for _ in range(20)]
        other = [api.call("POST", "/v1/decisions", body(3, requested_amount=5)) for _ in range(20)]
        answers = await asyncio.gather(*same, *other)
        bodies = {answer.content for answer in answers if answer.status_code == 200}
        assert len(bodies) == 1 and {answer.status_code for answer in answers} == {200, 409}

    with_api(tmp_path, test)
    assert [event["kind"] for event in events(tmp_path)].count("decision.made") == 1


def test_the_log_holds_digests_and_no_applicant(tmp_path: Path) -> None:
    contents, answers = [body(number) for number in range(4)], []

    async def test(api: Api) -> None:
        for content in contents:
            answers.append((await api.call("POST", "/v1/decisions", content)).content)

    with_api(tmp_path, test, challenger="trees")
    made = [event for event in events(tmp_path) if event["kind"] == "decision.made"]
    key = load_ref_key(tmp_path / "state")
    store = DecisionStore(tmp_path / "state")
    for number, (event, content, answer) in enumerate(zip(made, contents, answers, strict=True)):
        row = store.find(f"A-{number}")
        assert row is not None and row.answer == answer and row.body == content
        found = event["body"]
        assert found["ref"] == row.ref == application_ref(key, f"A-{number}")
        assert found["features_c"] == body_commitment(bytes.fromhex(row.nonce), content)
        assert found["explanation_sha256"] == hashlib.sha256(answer).hexdigest()
        assert found["score"] == row.score and found["outcome"] == row.outcome
        assert found["challenger"]["model_sha256"] == row.challenger_sha256 and row.challenger_score is not None
        assert json.loads(answer)["decision_id"] == row.decision_id
        assert f"A-{number}" not in json.dumps(event) and "challenger" not in json.loads(answer)
    store.close()
    assert audit(["verify", str(tmp_path / "state/decisions")]) == 0


def test_a_record_is_durable_before_its_answer(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        for number in range(5):
            await api.decide(body(number))
            assert len([event for event in events(tmp_path) if event["kind"] == "decision.made"]) == number + 1

    with_api(tmp_path, test)


def test_roles_decide(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        plain, soft = body(1), body(2, soft={"site_visit": "5"})
        score = json.dumps({"fields": applicants()[0]}).encode()
        override = b'{"decision": "refer", "reason_code": "R1"}'
        wanted = {
            ("POST", "/v1/decisions", plain): {"scorer", "account-manager"},
            ("POST", "/v1/decisions", soft): {"account-manager"},
            ("GET", "/v1/decisions/A-1", None): {"scorer", "account-manager", "risk", "auditor"},
            ("POST", "/v1/decisions/A-404/override", override): {"account-manager", "risk"},
            ("POST", "/v1/score", score): {"scorer", "risk"},
            ("GET", "/v1/model", None): {"scorer", "account-manager", "risk", "auditor"},
            ("GET", "/metrics", None): {"scorer", "risk", "auditor"},
        }
        for (method, path, content), roles in wanted.items():
            for role in ("scorer", "account-manager", "risk", "auditor"):
                status = (await api.call(method, path, content, role)).status_code
                assert (status != 403) == (role in roles), (method, path, role, status)
            assert (await api.call(method, path, content, "")).status_code == 401
        headers = {"authorization": "Bearer cmt_" + "A" * 43}
        assert (await api.client.get("/v1/model", headers=headers)).status_code == 401
        assert (await api.call("GET", "/healthz", role="")).json() == {"ready": True, "unavailable": []}

    with_api(tmp_path, test)


def test_a_revoked_token_opens_nothing(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        assert (await api.call("GET", "/v1/model")).status_code == 200
        TokenFile(tmp_path / "state").revoke("test-scorer")
        api.office.tokens.refresh()
        assert (await api.call("GET", "/v1/model")).status_code == 401
        assert (await api.call("GET", "/v1/model", role="risk")).status_code == 200

    with_api(tmp_path, test)
    content = (tmp_path / "state/tokens.json").read_text("utf-8")
    assert "cmt_" not in content


def test_soft_information_is_bounded_logged_and_goes_to_a_person(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        plain = await api.decide(body(5))
        changed = json.loads(body(5)) | {
            "application_id": "soft-5",
            "soft": {"site_visit": "5", "neighbours_word": "good"},
        }
        answer = await api.decide(json.dumps(changed).encode(), "account-manager")
        assert answer["decision"] == "refer" and answer["score"] == plain["score"]
        assert answer["soft"] == {"grades": 1, "bound": 1, "codes": changed["soft"], "unknown": []}

    with_api(tmp_path, test)
    last = events(tmp_path)[-1]
    assert last["body"]["soft"] == "+1" and last["actor"] == {
        "type": "human", "id": "test-account-manager", "role": "account-manager", "auth": "token"}  # fmt: skip


def test_an_override_needs_a_reason_and_is_recorded_and_counted(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        first = await api.decide(body(9))
        path = "/v1/decisions/A-9/override"
        wanted = "decline" if first["decision"] != "decline" else "approve"
        no_reason = json.dumps({"decision": wanted}).encode()
        assert (await api.call("POST", path, no_reason, "risk")).status_code == 422
        given = json.dumps({"decision": wanted, "reason_code": "VISIT-2"}).encode()
        answer = await api.call("POST", path, given, "risk")
        DecisionFile.model_validate(answer.json())
        assert answer.json()["current"] == wanted and answer.json()["answer"] == first
        assert (await api.call("POST", path, given, "risk")).status_code == 409
        back = json.dumps({"decision": "refer", "reason_code": "DOUBT"}).encode()
        told = (await api.call("POST", path, back, "account-manager")).json()
        assert [(each["before"], each["after"], each["by"]) for each in told["overrides"]] == [
            (first["decision"], wanted, "test-risk"), (wanted, "refer", "test-account-manager")]  # fmt: skip
        assert (await api.call("POST", "/v1/decisions/none/override", given, "risk")).status_code == 404
        again = await api.call("POST", "/v1/decisions", body(9))
        assert again.json() == first  # what was answered stays answered
        page = (await api.call("GET", "/metrics", role="risk")).text
        assert 'creditmesh_overrides_total{to="refer"} 1.0' in page and "creditmesh_decision_seconds_count" in page

    with_api(tmp_path, test)
    changed = [event["body"] for event in events(tmp_path) if event["kind"] == "decision.overridden"]
    assert [each["reason_code"] for each in changed] == ["VISIT-2", "DOUBT"]


def test_one_and_many_score_as_decisions_do(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        rows = applicants()[:50]
        answer = await api.call("POST", "/v1/score:batch", json.dumps({"applicants": rows}).encode())
        BatchAnswer.model_validate(answer.json())
        for number, (row, score) in enumerate(zip(rows, answer.json()["scores"], strict=True)):
            one = (await api.call("POST", "/v1/score", json.dumps({"fields": row}).encode())).json()
            ScoreAnswer.model_validate(one)
            decided = await api.decide(body(number))
            for key in ("score", "pd_12m", "dimensions"):
                assert one[key] == score[key] == decided[key]
        ModelAnswer.model_validate((await api.call("GET", "/v1/model")).json())

    with_api(tmp_path, test)
    assert len([event for event in events(tmp_path) if event["kind"] == "decision.made"]) == 50


@pytest.mark.parametrize("part", ["model", "policy", "dictionary", "reference", "serving"])
def test_a_missing_part_refers_and_says_which(tmp_path: Path, part: str) -> None:
    def break_it() -> None:
        named = {"policy": "policy.toml", "dictionary": "schema.toml", "reference": "reference.json"}
        if part in named:
            (tmp_path / named[part]).unlink()
        elif part == "serving":
            (tmp_path / "state/serving.json").unlink()
        else:
            sha256 = json.loads((tmp_path / "state/serving.json").read_text("utf-8"))["champion"]["network"]
            path = tmp_path / f"state/models/{sha256}.json"
            path.write_bytes(path.read_bytes()[:-2] + b" }")

    async def test(api: Api) -> None:
        assert (await api.decide(body(1)))["decision"] in ("approve", "decline", "refer")
        break_it()
        api.office.engine.reload()
        answer = await api.decide(body(2))
        DecisionAnswer.model_validate(answer)
        shown = "model" if part == "serving" else part
        assert answer["decision"] == "refer" and answer["unavailable"] == [shown]
        health = await api.call("GET", "/healthz")
        assert health.status_code == 503 and health.json()["unavailable"] == [shown]
        scored = await api.call("POST", "/v1/score", json.dumps({"fields": {}}).encode())
        assert scored.status_code == 503
        assert not (await api.call("GET", "/v1/model")).json()["ready"]

    with_api(tmp_path, test)
    last = events(tmp_path)[-1]["body"]
    assert last["outcome"] == "refer" and last["reason_codes"][0].startswith("unavailable:")


@pytest.mark.parametrize("part", ["log", "decisions"])
def test_what_cannot_be_recorded_is_referred_and_not_kept(
    tmp_path: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("disk-full", "the disk is full")

    async def test(api: Api) -> None:
        with monkeypatch.context() as broken:
            if part == "log":
                broken.setattr(api.office.recorder.log, "append", full)
            else:
                broken.setattr(api.office.recorder.decisions, "keep", full)
            answer = await api.call("POST", "/v1/decisions", body(1))
            assert answer.status_code == 503
            assert answer.json()["decision"] == "refer" and answer.json()["unavailable"] == ["log"]
            DecisionAnswer.model_validate(answer.json())
        assert "unavailable" not in await api.decide(body(1))  # nothing was kept: asking again is decided

    with_api(tmp_path, test)


def test_a_model_that_scores_otherwise_than_written_down_is_not_used(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)
    path = settings.state.dir / "serving.json"
    document = json.loads(path.read_text("utf-8"))
    document["champion"]["vector"] = "0" * 64
    path.write_text(json.dumps(document), "utf-8")

    async def run() -> None:
        async with api_of(settings) as api:
            health = await api.call("GET", "/healthz")
            assert health.status_code == 503 and "test rows" in api.office.engine.faults["model"]

    asyncio.run(run())


def test_a_broken_challenger_stops_nothing(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        sha256 = json.loads((tmp_path / "state/serving.json").read_text("utf-8"))["challenger"]["network"]
        (tmp_path / f"state/models/{sha256}.json").unlink()
        api.office.engine.reload()
        assert "unavailable" not in await api.decide(body(1))
        assert (await api.call("GET", "/v1/model")).json()["challenger"] is None
        assert (await api.call("GET", "/healthz")).status_code == 200

    with_api(tmp_path, test, challenger="trees")


def test_a_row_that_was_cut_off_before_its_record_is_removed_at_the_start(tmp_path: Path) -> None:
    settings = make_bank(tmp_path)

    async def first() -> bytes:
        async with api_of(settings) as api:
            await api.decide(body(1))
            return (await api.call("POST", "/v1/decisions", body(2))).content

    answered = asyncio.run(first())
    store = DecisionStore(tmp_path / "state")
    row = store.find("A-2")
    assert row is not None
    # As a power cut leaves it that struck between the table's sync and the log's.
    store.keep([replace(row, application_id=name, decision_id=name, ref=name * 32) for name in ("f0", "f1")])
    store.close()
    office = open_office(settings)
    assert office.recorder.decisions.find("f0") is None and office.recorder.decisions.find("f1") is None
    kept = office.recorder.decisions.find("A-2")
    assert kept is not None and kept.answer == answered
    office.close()


def test_the_logs_head_is_left_for_the_privacy_log(tmp_path: Path) -> None:
    async def test(api: Api) -> None:
        await api.decide(body(1))

    with_api(tmp_path, test)
    noted: list[Any] = []
    assert take_notes(tmp_path / "state", noted.extend) == 1
    origin, size, _ = noted[0].body["resource"].split(" ")
    assert noted[0].body["action"] == "decision-log" and origin == "rural_bank/decision-log"
    assert int(size) == len(events(tmp_path))
