"""Whatever comes in, the console answers without a fault of its own, with its policy, and without repeating markup."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordinator.console.guard import CSP
from coordinator.console.routes import ENTRANCES
from tests.coordinator.console.room import Room, open_room

TEXT = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["0", "-1", "9" * 40, "nan", "1e999", "../..", "%00", "\x00", "' OR 1=1 --", "{{7*7}}", "<script>x</script>"]
    ),
)
FIELDS = ("typed", "fingerprint", "recipe", "seed", "holdout", "max_rows", "epsilon", "delta", "parameters", "schema",
          "exactness", "not_before", "step", "wish", "role", "number", "purpose")  # fmt: skip
QUERY = ("page", "show", "state", "before", "kind", "job", "like", "budget", "each", "after", "lang", "done", "half")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    with open_room(tmp_path_factory.mktemp("fuzz")) as opened:
        yield opened


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    entrance=st.sampled_from(ENTRANCES),
    known=st.booleans(),
    part=TEXT,
    query=st.dictionaries(st.sampled_from(QUERY), TEXT, max_size=4),
    form=st.dictionaries(st.sampled_from(FIELDS), TEXT, max_size=8),
)
def test_nothing_that_is_sent_makes_a_fault(
    room: Room, entrance: object, known: bool, part: str, query: dict[str, str], form: dict[str, str]
) -> None:
    path, method = entrance.path, entrance.method  # type: ignore[attr-defined]
    parts = {"member": "bank-0", "job": room.job, "sha256": room.model, "index:int": "1"}
    for name, value in parts.items():
        path = path.replace(f"{{{name}}}", value if known else quote(part or "x", safe=""))
    if query:
        path += "?" + "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    if path.partition("?")[0].endswith("/stream"):
        path = f"/jobs/{room.job}/stream?after=999999"  # over: a stream that stays open would wait
    browser = room.browser("operator")
    answer = browser.get(path) if method == "GET" else browser.post(path, form)
    assert answer.status_code < 500
    assert answer.headers["content-security-policy"] == CSP
    assert "<script>x" not in answer.text
