"""Where applications are decided, recorded and answered: everything of the decision API but HTTP.

The account manager's page calls the same methods. Theory: an application id has one answer, which is kept as bytes and
given again byte for byte; a second request with the same id waits for the first. An answer leaves only after its record
is durable. Whatever is missing inside makes the answer `refer` and says which part: no caller ever gets less than a
person's attention because a machine is broken.
"""

import asyncio
import hashlib
import json
import secrets
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from node.decision_store import OverrideRow, Row
from node.journal_line import say
from node.scorer.bodies import BatchBody, DecisionBody, OverrideBody, ScoreBody, application_of
from node.scorer.engine import Engine
from node.scorer.recorder import Recorder, anchor, application_ref, body_commitment
from node.tokens import Caller, TokenFile, allowed
from privacy.errors import InputError, PrivacyError
from privacy.log.record import Actor, Entry
from risk.decision import Decision, Desk, decide

__all__ = ["Answer", "Office"]

REVIEW_ZH = "系统部件不可用，本申请转人工审核"
NO_DIGEST = "0" * 64
POLL_S = 0.5
ANCHOR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves: an HTTP status and the bytes of a JSON document. outcome: of a decision, `repeated`, or empty."""

    status: int
    content: bytes
    outcome: str = ""


class Office:
    """Decide, record, answer; all methods are called on one event loop."""

    def __init__(self, engine: Engine, recorder: Recorder, tokens: TokenFile, ref_key: bytes) -> None:
        """Take the parts over; `close` closes what has to be."""
        self.engine, self.recorder, self.tokens = engine, recorder, tokens
        self._ref_key = ref_key
        self._under_way: dict[str, asyncio.Future[Answer]] = {}
        self._unrecorded = ""

    @property
    def faults(self) -> dict[str, str]:
        """Return the parts that are missing and why: of the desk, and `log` while the last record failed."""
        return {**self.engine.faults, **({"log": self._unrecorded} if self._unrecorded else {})}

    # -- decisions ---------------------------------------------------------------------------------------------------

    async def decide(self, body: DecisionBody, raw: bytes, caller: Caller) -> Answer:
        """Return the answer to an application; raw: the bytes it came in.

        200 with the decision, the same bytes for the same application; 403 where the role may not send soft
        information; 409 where the id was used for another application; 503 `refer` where nothing can be recorded.
        """
        if body.soft and not allowed(caller, "soft"):
            return _problem(403, "role", f"role {caller.role} may not add soft information; an account manager may")
        name = body.application_id
        while (first := self._under_way.get(name)) is not None:
            await asyncio.shield(first)
        try:
            known = self.recorder.decisions.find(name)
        except InputError as error:
            return _refer(name, {"decisions": error.message})
        if known is not None:
            return _again(known, raw)
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._under_way[name] = done
        try:
            return await self._decide(body, raw, caller)
        finally:
            del self._under_way[name]
            done.set_result(Answer(0, b""))

    def preview(self, body: DecisionBody) -> Decision | None:
        """Return what would be decided, recorded nowhere, for a what-if; None where a part is missing."""
        desk = self.engine.desk
        if desk is None:
            return None
        now = datetime.now(UTC)
        return decide(desk, application_of(body), "preview", _stamp(now), now.date())

    async def _decide(self, body: DecisionBody, raw: bytes, caller: Caller) -> Answer:
        now = datetime.now(UTC)
        name, desk = body.application_id, self.engine.desk
        ref, nonce = application_ref(self._ref_key, name), secrets.token_bytes(32)
        decision_id = f"D-{secrets.token_hex(12)}"
        if desk is None:
            made, document = None, _outage(self.engine.faults, decision_id, _stamp(now))
        else:
            made = decide(desk, application_of(body), decision_id, _stamp(now), now.date())
            document = made.document
        content = _encoded({"application_id": name, **document})
        row = _row(body, made, (decision_id, ref, nonce.hex()), (raw, content), (caller.name, now))
        entry = self._entry(row, made, body_commitment(nonce, raw), caller)
        try:
            await self.recorder.record(row, entry)
        except (PrivacyError, sqlite3.Error, OSError) as error:
            reason = error.message if isinstance(error, PrivacyError) else type(error).__name__
            self._unrecorded = reason
            say("decision_not_recorded", reason=reason)
            return _refer(name, {"log": reason})
        self._unrecorded = ""
        return Answer(200, content, row.outcome)

    def _entry(self, row: Row, made: Decision | None, commitment: str, caller: Caller) -> Entry:
        body: dict[str, object] = {
            "ref": row.ref,
            "model_sha256": row.model_sha256,
            "features_c": commitment,
            "score": max(0, row.score or 0),
            "threshold": 0,
            "outcome": row.outcome,
            "reason_codes": [],
            "explanation_sha256": hashlib.sha256(row.answer).hexdigest(),
            "review": "required" if row.outcome == "refer" else "available",
        }
        desk = self.engine.desk
        if made is None or desk is None:
            body["reason_codes"] = [f"unavailable:{part}" for part in sorted(self.engine.faults)]
        else:
            body["threshold"] = desk.policy.cutoff.approve
            body["reason_codes"] = list(made.codes)
            body["policy_sha256"] = row.policy_sha256
            body["dictionary_sha256"] = desk.names["dictionary_sha256"]
            if made.document["soft"]["codes"]:
                body["soft"] = f"{made.document['soft']['grades']:+d}".replace("+0", "0")
            if made.challenger is not None and desk.challenger is not None:
                score = max(0, made.challenger.score)
                body["challenger"] = {"model_sha256": desk.challenger.sha256, "score": score}
        return Entry("decision.made", body, "lending", actor=_actor(caller))

    # -- reading and changing ----------------------------------------------------------------------------------------

    def find(self, application_id: str) -> Answer:
        """Return the decision on an application and what people said of it; 404 where there is none."""
        row = self.recorder.decisions.find(application_id)
        if row is None:
            return _problem(404, "application-unknown", "there is no decision on this application")
        said = self.recorder.decisions.overrides(application_id)
        current = said[-1].after if said else row.outcome
        overrides = [
            {
                "at": _stamp(datetime.fromtimestamp(each.given_us / 1e6, UTC)),
                "by": each.caller,
                "role": each.role,
                "before": each.before,
                "after": each.after,
                "reason_code": each.reason_code,
            }
            for each in said
        ]
        head = json.dumps({"current": current, "overrides": overrides}, ensure_ascii=False, separators=(",", ":"))
        return Answer(200, head.encode("utf-8")[:-1] + b',"answer":' + row.answer + b"}")

    async def override(self, application_id: str, body: OverrideBody, caller: Caller) -> Answer:
        """Record a person's word on a decision; the first answer stays as it is, beside it."""
        row = self.recorder.decisions.find(application_id)
        if row is None:
            return _problem(404, "application-unknown", "there is no decision on this application")
        said = self.recorder.decisions.overrides(application_id)
        before = said[-1].after if said else row.outcome
        if before == body.decision:
            return _problem(409, "override-same", f"the decision is {before} already")
        given_us = time.time_ns() // 1000
        new = OverrideRow(application_id, given_us, caller.name, caller.role, before, body.decision, body.reason_code)
        record = {
            "ref": row.ref,
            "explanation_sha256": hashlib.sha256(row.answer).hexdigest(),
            "before": before,
            "after": body.decision,
            "reason_code": body.reason_code,
        }
        try:
            await self.recorder.record(
                new, Entry("decision.overridden", record, "lending", actor=_actor(caller, "human"))
            )
        except InputError as error:
            return _problem(503, error.code, error.message)
        return self.find(application_id)

    def score(self, body: ScoreBody) -> Answer:
        """Return the score of one applicant; nothing is decided or kept. 503 where a part is missing."""
        desk = self.engine.desk
        if desk is None:
            return self._unready()
        return Answer(200, _encoded({"model_sha256": desk.champion.sha256, **_score(desk, body.fields)}))

    def score_batch(self, body: BatchBody) -> Answer:
        """Return the scores of many applicants, each as `score` gives it."""
        desk = self.engine.desk
        if desk is None:
            return self._unready()
        scores = [_score(desk, record) for record in body.applicants]
        return Answer(200, _encoded({"model_sha256": desk.champion.sha256, "scores": scores}))

    def _unready(self) -> Answer:
        return _problem(503, "unavailable", f"missing: {', '.join(sorted(self.engine.faults))}")

    def model(self) -> Answer:
        """Return what is in service and what is missing."""
        desk = self.engine.desk
        if desk is None:
            return Answer(200, _encoded({"ready": False, "unavailable": self.faults}))
        challenger = desk.challenger
        shown = None if challenger is None else {"kind": challenger.kind, "sha256": challenger.sha256}
        return Answer(
            200,
            _encoded({"ready": not self.faults, "unavailable": self.faults, "model": desk.names, "challenger": shown}),
        )

    # -- care --------------------------------------------------------------------------------------------------------

    async def watch(self) -> None:
        """Look at the files of desk and tokens twice a second until cancelled, and anchor the log once an hour."""
        anchored = time.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            if time.monotonic() - anchored > ANCHOR_S:
                anchored = time.monotonic()
                self._anchor()
            try:
                self.tokens.refresh()
            except (InputError, OSError) as error:
                say("tokens_unreadable", reason=str(error))
            if self.engine.changed():
                await asyncio.to_thread(self.engine.reload)

    def close(self) -> None:
        """Write what is queued, anchor the log, and close the files."""
        self.recorder.finish()
        self._anchor()
        self.recorder.close()

    def _anchor(self) -> None:
        try:
            anchor(self.engine.files.state, self.recorder.log)
        except OSError as error:
            say("decision_log_not_anchored", reason=type(error).__name__)


def _score(desk: Desk, record: Mapping[str, object]) -> dict[str, Any]:
    reading = desk.reader.read(record, {})
    scored = desk.champion.scorer.score(reading.values)
    return {
        "score": scored.score,
        "pd_12m": scored.pd,
        "grade": desk.policy.grades.names[desk.grade(scored.calibrated)],
        "dimensions": scored.dimensions(),
        "missing": reading.missing,
        "faults": dict(reading.faults),
    }


def _row(
    body: DecisionBody,
    made: Decision | None,
    names: tuple[str, str, str],
    contents: tuple[bytes, bytes],
    whom: tuple[str, datetime],
) -> Row:
    (decision_id, ref, nonce), (raw, content), (caller, now) = names, contents, whom
    model = {} if made is None else made.document["model"]
    challenger = None if made is None else made.challenger
    return Row(
        application_id=body.application_id,
        decision_id=decision_id,
        decided_us=int(now.timestamp() * 1e6),
        month=f"{now.year:04d}-{now.month:02d}",
        model_sha256=model.get("sha256", NO_DIGEST),
        policy_sha256=model.get("policy_sha256", NO_DIGEST),
        score=None if made is None else made.scored.score,
        pd=None if made is None else made.pd,
        grade=None if made is None else made.document["grade"],
        outcome="refer" if made is None else made.outcome,
        segment="{}" if made is None else json.dumps(made.segments, sort_keys=True, ensure_ascii=False),
        challenger_sha256="" if made is None else made.challenger_sha256,
        challenger_score=None if challenger is None else challenger.score,
        challenger_logit=None if challenger is None else challenger.logit,
        caller=caller,
        ref=ref,
        nonce=nonce,
        body_sha256=hashlib.sha256(raw).hexdigest(),
        body=raw,
        answer=content,
    )


def _again(known: Row, raw: bytes) -> Answer:
    """Return the first answer to the same application; keys may stand in another order, nothing else may differ."""
    same = hashlib.sha256(raw).hexdigest() == known.body_sha256 or _plain(raw) == _plain(known.body)
    if same:
        return Answer(200, known.answer, "repeated")
    return _problem(409, "application-known", "this application id was used with another content; use a new id")


def _plain(raw: bytes) -> str:
    return json.dumps(json.loads(raw), sort_keys=True)


def _outage(faults: Mapping[str, str], decision_id: str, decided: str) -> dict[str, Any]:
    return {
        "version": 1,
        "decision_id": decision_id,
        "decided_at": decided,
        "decision": "refer",
        "unavailable": sorted(faults),
        "checks": [
            {
                "code": f"unavailable:{part}",
                "outcome": "refer",
                "text_en": f"the {part} is not available, so a person decides",
                "text_zh": REVIEW_ZH,
            }
            for part in sorted(faults)
        ],
        "human_review": {"available": True, "channel_en": "", "channel_zh": ""},
    }


def _refer(name: str, faults: Mapping[str, str]) -> Answer:
    """Return `refer` that is recorded nowhere, because nothing can be: the caller may ask again."""
    document = _outage(faults, "", _stamp(datetime.now(UTC)))
    return Answer(503, _encoded({"application_id": name, **document}), "refer")


def _problem(status: int, code: str, message: str) -> Answer:
    return Answer(status, _encoded({"code": code, "message": message}))


def _actor(caller: Caller, kind: str = "service") -> Actor:
    person = kind == "human" or caller.role == "account-manager"
    return Actor("human" if person else kind, caller.name, caller.role, "token")


def _stamp(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _encoded(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
