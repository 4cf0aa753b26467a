"""The account manager's page: who may, what a form may hold, and that what is shown is what was recorded."""

import asyncio
import json
import re
import tomllib
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from node.page import frame
from node.page.routes import add_page
from node.scorer.app import create_app
from node.scorer.office import Office
from node.scorer.serve import open_office
from tests.node.scorer.bank_desk import applicants, body, make_bank, token

WORDS = Path(frame.__file__).parent
PATHS = ("/desk", "/desk/sign-in", "/desk/new", "/desk/applications/N-1", "/desk/applications/N-1/letter")


class Person:
    """Somebody with a browser at the page."""

    def __init__(self, office: Office, client: httpx.AsyncClient) -> None:
        self.office, self.client = office, client
        self.form = ""

    async def get(self, path: str, **more: Any) -> httpx.Response:
        answer = await self.client.get(path, **more)
        found = re.search(r'name="form" value="([0-9a-f]+)"', answer.text)
        self.form = found.group(1) if found else self.form
        return answer

    async def post(self, path: str, fields: dict[str, str], **more: Any) -> httpx.Response:
        return await self.client.post(path, data={"form": self.form, **fields}, **more)

    async def sign_in(self, secret: str) -> None:
        assert (await self.client.post("/desk/sign-in", data={"token": secret})).status_code == 303
        await self.get("/desk")


@asynccontextmanager
async def desk_of(folder: Path, role: str | None = "account-manager") -> AsyncIterator[Person]:
    settings = make_bank(folder)
    secret = token(settings, role) if role else ""
    office = open_office(settings)
    try:
        app = create_app(office)
        add_page(app, "rural_bank", is_secure=False)
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
            person = Person(office, client)
            if role:
                await person.sign_in(secret)
            yield person
    finally:
        office.close()


def run(
    folder: Path, test: Callable[[Person], Coroutine[Any, Any, None]], role: str | None = "account-manager"
) -> None:
    async def whole() -> None:
        async with desk_of(folder, role) as person:
            await test(person)

    asyncio.run(whole())


def filled(name: str = "N-1", more: dict[str, str] | None = None, number: int = 10) -> dict[str, str]:
    fields = {f"field:{key}": str(value) for key, value in applicants()[number].items()}
    return {"application_id": name, "requested_amount": "300,000", "monthly_inflow": "152000", **fields,
            "as_of": "2026-11-20", "consent_id": "C-7", "screening:blacklist": "clear", **(more or {})}  # fmt: skip


def test_from_applicant_to_explained_decision_as_the_api_gives_it(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        answer = await person.post("/desk/decide", filled())
        assert answer.status_code == 303 and answer.headers["location"] == "/desk/applications/N-1"
        document = json.loads(person.office.find("N-1").content)["answer"]
        shown = (await person.get("/desk/applications/N-1", headers={"accept-language": "zh-CN"})).text
        assert str(document["score"]) in shown and all(each["text_zh"] in shown for each in document["reasons"])
        again = (await person.get("/desk/applications/N-1?lang=en")).text
        assert all(each["text_en"].replace("'", "&#39;") in again for each in document["reasons"])
        # The same fields through the API give the same decision.
        raw = json.loads(body(10, application_id="N-2"))
        twin = {**raw, "sources": [], "other_exposure": None}
        sent = await person.client.post("/v1/decisions", content=json.dumps(twin))
        assert sent.status_code == 401
        letter = (await person.get("/desk/applications/N-1/letter")).text
        assert document["human_review"]["channel_en"].replace("'", "&#39;") in letter

    run(tmp_path, test)


def test_a_trial_shows_and_keeps_nothing(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        tried = await person.post("/desk/try", filled())
        assert tried.status_code == 200 and 'class="trial"' in tried.text
        assert person.office.find("N-1").status == 404 and person.office.recorder.decisions.newest(5) == []

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("application_id", "no spaces", "begins with a letter"),
        ("application_id", "<script>", "begins with a letter"),
        ("requested_amount", "a lot", "expected a number"),
        ("monthly_inflow", "-1", "expected a number"),
        ("field:bureau_utilisation", "NaN", "expected a number"),
        ("field:bureau_utilisation", "1e400", "expected a number"),
        ("field:industry", "piracy", "not one of the choices"),
        ("as_of", "yesterday", "expected a day"),
        ("consent_id", "C" * 129, "at most 128"),
    ],
)
def test_a_wrong_field_is_named_and_loses_nothing(tmp_path: Path, name: str, text: str, says: str) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        answer = await person.post("/desk/decide", filled(more={name: text}), headers={"accept-language": "en"})
        assert answer.status_code == 422 and says in answer.text and "<script>" not in answer.text
        assert 'value="152000"' in answer.text or name == "monthly_inflow"
        assert person.office.recorder.decisions.newest(5) == []

    run(tmp_path, test)


def test_forms_of_other_pages_are_refused(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        person.form = "0" * 64
        for path in ("/desk/decide", "/desk/try", "/desk/load", "/desk/sign-out", "/desk/applications/N-1/override"):
            assert (await person.post(path, filled())).status_code == 403
        assert person.office.recorder.decisions.newest(5) == []

    run(tmp_path, test)


@pytest.mark.parametrize(("role", "may"), [("account-manager", 200), ("scorer", 200), ("risk", 403), ("auditor", 403)])
def test_roles_decide_who_takes_down_an_applicant(tmp_path: Path, role: str, may: int) -> None:
    async def test(person: Person) -> None:
        assert (await person.get("/desk/new")).status_code == may
        answer = await person.post("/desk/decide", filled())
        assert answer.status_code == (303 if may == 200 else 403)
        if role == "scorer":
            refused = await person.post("/desk/decide", filled("N-2", {"soft:site_visit": "5"}))
            assert refused.status_code == 403

    run(tmp_path, test, role)


def test_soft_information_is_shown_with_its_effect_and_a_person_decides(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        await person.post("/desk/decide", filled(more={"soft:site_visit": "5"}))
        document = json.loads(person.office.find("N-1").content)["answer"]
        assert document["decision"] == "refer" and document["soft"]["codes"] == {"site_visit": "5"}
        assert "+1" in (await person.get("/desk/applications/N-1")).text

    run(tmp_path, test)


def test_an_override_is_recorded_and_shown(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        await person.post("/desk/decide", filled())
        first = json.loads(person.office.find("N-1").content)["answer"]["decision"]
        other = "decline" if first != "decline" else "approve"
        path = "/desk/applications/N-1/override"
        wrong = await person.post(path, {"decision": other, "reason_code": "no spaces please"})
        assert wrong.status_code == 422
        assert (await person.post(path, {"decision": other, "reason_code": "SEEN-STOCK"})).status_code == 303
        shown = (await person.get("/desk/applications/N-1")).text
        assert "SEEN-STOCK" in shown and json.loads(person.office.find("N-1").content)["current"] == other
        assert (await person.post(path, {"decision": other, "reason_code": "AGAIN"})).status_code == 409

    run(tmp_path, test)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"fields": 3}', b"\xff\xfe", b'{"sources": [1]}', b"[" * 100_000])
def test_a_broken_record_is_said_in_one_line(tmp_path: Path, content: bytes) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        files = {"record": ("record.json", content, "application/json")}
        answer = await person.post("/desk/load", {}, files=files, headers={"accept-language": "en"})
        assert answer.status_code == 422 and "no applicant&#39;s record" in answer.text

    run(tmp_path, test)


def test_a_record_fills_the_form_and_an_earlier_application_does_too(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        files = {"record": ("record.json", body(10, application_id="L-1"), "application/json")}
        loaded = await person.post("/desk/load", {}, files=files)
        assert loaded.status_code == 200 and 'value="L-1"' in loaded.text and 'value="152000"' in loaded.text
        await person.post("/desk/decide", filled())
        again = (await person.get("/desk/new?from=N-1")).text
        assert 'value="152000"' in again and 'value="N-1"' not in again
        used = await person.post("/desk/decide", filled(number=11), headers={"accept-language": "en"})
        assert used.status_code == 409 and "choose another" in used.text

    run(tmp_path, test)


def test_every_page_forbids_scripts_and_caches(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        await person.get("/desk/new")
        await person.post("/desk/decide", filled())
        for path in PATHS:
            answer = await person.get(path)
            assert answer.status_code == 200
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'") and "script" not in policy and "unsafe" not in policy
            assert answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<script|\sstyle=|\son[a-z]+=", answer.text)

    run(tmp_path, test)


def test_a_stranger_sees_the_sign_in_page_alone(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        for path in PATHS[:1] + PATHS[2:]:
            answer = await person.get(path)
            assert answer.status_code == 303 and answer.headers["location"] == "/desk/sign-in"
        wrong = await person.post("/desk/sign-in", {"token": "cmt_" + "a" * 43})
        assert wrong.status_code == 401 and "set-cookie" not in wrong.headers
        assert (await person.client.post("/desk/sign-in", content=b"x" * 300_000)).status_code == 413

    run(tmp_path, test, None)


def test_the_session_cookie_goes_nowhere_else(tmp_path: Path) -> None:
    async def test(person: Person) -> None:
        secret = person.office.tokens.add("second", "risk", "2026-11-24T00:00:00Z")
        answer = await person.post("/desk/sign-in", {"token": secret})
        cookie = answer.headers["set-cookie"].lower()
        assert all(part in cookie for part in ("httponly", "samesite=strict", "path=/;"))
        await person.get("/desk")
        assert (await person.post("/desk/sign-out", {})).status_code == 303
        assert (await person.get("/desk")).status_code == 303

    run(tmp_path, test)


def test_both_languages_have_the_same_words() -> None:
    def keys(part: Any) -> Any:
        return {name: keys(value) for name, value in part.items()} if isinstance(part, dict) else None

    both = [tomllib.loads((WORDS / f"words_{name}.toml").read_text("utf-8")) for name in frame.LANGUAGES]
    assert keys(both[0]) == keys(both[1])
