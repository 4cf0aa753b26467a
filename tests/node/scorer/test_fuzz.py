"""Whatever is sent: no crash, no lost decision, no server error."""

import asyncio
import json
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from node.scorer.app import create_app
from node.scorer.serve import open_office
from tests.node.scorer.bank_desk import body, dictionary, make_bank, token
from tests.node.scorer.client import api_of, post

MALFORMED = 10_000
EXAMPLES = 60
CHECKS = list(HealthCheck)
CONFORMANCE = [status_code_conformance, content_type_conformance, response_schema_conformance]
NAMES = [field.name for field in dictionary().fields]
ODD: list[Any] = [
    None, True, -1, 0, 1e308, -1e308, 5e-324, 2**63, 10**400, "", "x" * 257, "\u0000", "\u202e", "level", "NaN", [],
    {}, [1], {"a": 1}, 0.1 + 0.2, -0.0, "1", "纳税", "\ud83d\ude00"]  # fmt: skip
BROKEN = [
    b"",
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b'{"application_id":',
    b'"text"',
    b"{}" * 9,
    b'{"a":NaN}',
    b"[" * 99_999,
]


def malformed(rng: random.Random, number: int) -> bytes:
    """Return an application with something wrong in it, now and then beyond JSON."""
    if rng.random() < 0.05:
        return rng.choice(BROKEN)
    document: dict[str, Any] = json.loads(body(number))
    names = NAMES
    for _ in range(rng.randint(1, 6)):
        kind = rng.randrange(8)
        if kind < 4 and not isinstance(document.get("fields"), dict):
            continue
        if kind < 3:
            document["fields"][rng.choice(names)] = rng.choice(ODD)
        elif kind == 3:
            document["fields"][rng.choice(["", "undeclared", "x" * 65, "\u0000", names[0].upper()])] = rng.choice(ODD)
        elif kind == 4:
            document[rng.choice([*document, "unknown"])] = rng.choice(ODD)
        elif kind == 5:
            document["sources"] = [{"source": rng.choice(["bureau", "nobody", ""]), "as_of": rng.choice(
                ["2026-11-20", "1970-01-01", "9999-12-31", "2026-02-30", 5, None])}] * rng.randint(0, 70)  # fmt: skip
        elif kind == 6:
            document.pop(rng.choice(list(document)), None)
        else:
            document["application_id"] = rng.choice(["", "../../etc", "A B", "x" * 65, 7, f"A-{number}", "ü"])
    try:
        return json.dumps(document).encode("utf-8")
    except ValueError:
        return b"{}"


@pytest.mark.slow
def test_ten_thousand_malformed_applicants_lose_nothing(tmp_path: Path) -> None:
    # What is tried here is parsing and deciding; that a commit survives a power cut is tried elsewhere.
    rng = random.Random(20_261_124)
    answered: dict[str, bytes] = {}
    statuses: dict[int, int] = {}

    async def run() -> None:
        async with api_of(make_bank(tmp_path, challenger="trees")) as api:
            for connection in (api.office.recorder.log._database, api.office.recorder.decisions._writer):
                connection.execute("PRAGMA synchronous = OFF")
            app, secret = create_app(api.office), api.tokens["scorer"]
            for start in range(0, MALFORMED, 100):
                contents = [malformed(rng, number) for number in range(start, start + 100)]
                answers = await asyncio.gather(*(post(app, "/v1/decisions", each, secret) for each in contents))
                for status, content in answers:
                    statuses[status] = statuses.get(status, 0) + 1
                    if status == 200:
                        found = json.loads(content)
                        answered[found["application_id"]] = content
                        assert found["score"] == sum(found["dimensions"].values())

    asyncio.run(run())
    assert set(statuses) <= {200, 409, 413, 422} and statuses[200] > 1000 and statuses[422] > 1000
    with sqlite3.connect(tmp_path / "state/decisions.db") as database:
        kept = dict(database.execute("SELECT application_id, answer FROM decision"))
    with sqlite3.connect(tmp_path / "state/decisions/log.db") as database:
        (logged,) = database.execute("SELECT count(*) FROM event WHERE instr(event, 'decision.made') > 0").fetchone()
    assert kept == answered and logged == len(kept)


@pytest.mark.slow
def test_schemathesis_finds_no_server_error(tmp_path: Path) -> None:
    made = make_bank(tmp_path)
    manager, risk = token(made, "account-manager"), token(made, "risk")
    office = open_office(made)
    for connection in (office.recorder.log._database, office.recorder.decisions._writer):
        connection.execute("PRAGMA synchronous = OFF")
    schema = schemathesis.openapi.from_asgi("/openapi.json", create_app(office))
    seen: dict[tuple[str, int], int] = {}
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]

        @settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS)
        @given(case=operation.as_strategy())
        def explore(case: Any) -> None:
            secret = risk if "score" in case.path else manager
            response = case.call(headers={"Authorization": f"Bearer {secret}"})
            assert response.status_code < 500, (case.path, case.body)
            case.validate_response(response, checks=CONFORMANCE)
            key = (case.path, response.status_code)
            seen[key] = seen.get(key, 0) + 1

        explore()
    office.close()
    assert seen["/v1/decisions", 200] > EXAMPLES // 4 and seen["/v1/score", 200] > EXAMPLES // 4
    assert seen["/v1/model", 200] and seen["/healthz", 200]
