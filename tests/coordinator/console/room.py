"""A console over a founded consortium with members, jobs, a model and a log, and browsers that are logged in to it.

It starts no process: requests go straight into the application.
"""

import asyncio
import contextlib
import json
import re
import shutil
import tempfile
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import httpx
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import insert

from coordinator import config, tables
from coordinator.account_store import ROLES, Account, Role
from coordinator.console.app import build
from coordinator.console.door import cookie_name
from coordinator.console.guard import Guard
from coordinator.console.server import make_desk
from coordinator.console.session_book import SessionBook
from coordinator.console.throttle import Throttle
from coordinator.console.visit import Desk
from coordinator.password import stored_shape
from coordinator.rows import JobState
from coordinator.service import open_log
from coordinator.store import Member, ModelRecord, RoundRecord, Store
from coordinator.toml_file import read_document
from privacy.log.record import Entry
from tests.coordinator.operator import make_operator

__all__ = ["HOST", "PASSWORD", "Browser", "Room", "open_room"]

HOST = "console.test"
PASSWORD = "a long enough password"
T = TypeVar("T")


@cache
def stored() -> str:
    """Return what is stored for the password, made at the least cost."""
    salt = bytes(16)
    digest = Scrypt(salt=salt, length=32, n=2, r=8, p=1).derive(PASSWORD.encode())
    return stored_shape(salt, digest).replace("$32768$8$3$", "$2$8$1$")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Browser:
    """A client with cookies; `token` is the one its forms carry."""

    app: Guard
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    def get(self, path: str, **headers: str) -> httpx.Response:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, form: Mapping[str, str] | None = None, **options: Any) -> httpx.Response:
        return self.ask("POST", path, data={"token": self.token, **(form or {})}, **options)

    def ask(self, method: str, path: str, host: str = HOST, **options: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(
                transport=transport, base_url=f"http://{host}", cookies=self.cookies
            ) as client:
                return await client.request(method, path, **options)

        answer = run(asked())
        for name, value in answer.cookies.items():
            self.cookies[name] = value
        return answer


@dataclass
class Room:
    """Everything a test of the console needs; `job` is done and has a model, `failed` has a story, `queued` waits."""

    folder: Path
    desk: Desk
    app: Guard
    clock: Clock
    accounts: Mapping[Role, Account]
    job: str
    failed: str
    queued: str
    model: str

    @property
    def store(self) -> Store:
        return self.desk.store

    def browser(self, role: Role | None) -> Browser:
        """Return a browser of that role, logged in without the cost of a password; None for nobody."""
        if role is None:
            return Browser(self.app)
        name = self.desk.sessions.open(self.accounts[role])
        session = self.desk.sessions.find(name)
        assert session is not None
        return Browser(self.app, {cookie_name(self.desk.secure): name}, session.token)

    def notes(self) -> list[dict[str, str]]:
        """Return what commands and visitors did, as it waits to be recorded."""
        paths = sorted((self.folder / "access").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_bytes()) for path in paths]


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


@contextlib.contextmanager
def open_room(folder: Path, *, secure: bool = False) -> Iterator[Room]:
    """Copy the consortium into `folder` and open its console."""
    template, names = _template()
    shutil.copytree(template.name, folder, dirs_exist_ok=True)
    settings = config.load(folder / "coordinator.toml")
    clock = Clock()
    with contextlib.closing(Store(settings.storage.url)) as store:
        made = make_desk(settings, store, secure=secure)
        desk = replace(made, sessions=SessionBook(clock), throttle=Throttle(clock))
        accounts = {role: desk.accounts.named(role) for role in ROLES}
        app = build(desk, lambda: frozenset({HOST}))
        yield Room(folder, desk, app, clock, accounts, *names)


@cache
def _template() -> tuple[tempfile.TemporaryDirectory[str], tuple[str, str, str, str]]:
    """Make the consortium once a process: founding, migrations and synced logs take a moment."""
    kept = tempfile.TemporaryDirectory()
    operator = make_operator(Path(kept.name))
    settings = config.load(operator.config)
    with contextlib.closing(Store(settings.storage.url)) as store:
        _fill_log(settings)
        names = _fill_store(store, settings.state.dir, read_document(operator.schema))
        rows = [{"name": role, "role": role, "password": stored(), "created": 1, "changed": 1} for role in ROLES]
        with store.engine.begin() as connection:
            connection.execute(insert(tables.accounts).values(rows))
    return kept, names


def _fill_log(settings: config.CoordinatorConfig) -> None:
    log = open_log(settings, b"\x07" * 32)
    alarm = {"class": "fork", "severity": "critical", "evidence": "planted for a test"}
    log.append([Entry("alarm.raised", alarm)])
    log.append([Entry("peer.checkpoint", {"origin": "bank-1/privacy-log", "size": 3, "root": "ab" * 32, "linked": True,
                                          "cosigners": []}) for _ in range(70)])  # fmt: skip
    log.close()


def _fill_store(store: Store, state: Path, schema: dict[str, Any]) -> tuple[str, str, str, str]:
    for number in range(5):
        key = f"{number:02x}" * 32
        store.add_member(Member(f"bank-{number}", key, 1000 + number))
    spec = {
        "job": {"recipe": "scorecard", "purpose": "credit-risk-model", "seed": 0, "holdout_ppm": 300_000,
                "max_rows": 4096},
        "parameters": {},
        "schema": schema,
    }  # fmt: skip
    job, failed, queued = (store.add_job("scorecard", spec) for _ in range(3))
    ways: dict[str, tuple[JobState, ...]] = {
        job: ("joining", "running", "done"), failed: ("joining", "running", "failed")
    }  # fmt: skip
    for name, states in ways.items():
        for each in states:
            store.set_job_state(name, each, "member lost: bank-3; 3 members are left" if each == "failed" else "")
    members = [f"bank-{number}" for number in range(5)]
    store.add_event(job, "job-started", {"members": members})
    for number in range(1, 61):
        store.record_round(RoundRecord(job, number, number, f"newton-{number}", "opened", tuple(members), 5000,
                                       10**15 + number * 10**5, 10**15 + number * 10**5 + 70_000))  # fmt: skip
        store.add_event(job, "round-opened", {"number": number, "name": f"newton-{number}", "ms": 70.0, "survivors": 5})
    store.add_event(job, "job-done", {"reason": "", "seconds": 4.5})
    store.add_event(failed, "job-started", {"members": members})
    store.add_event(failed, "job-paused", {"lost": ["bank-3"], "rejoin_s": 2})
    store.add_event(failed, "job-failed", {"reason": "member lost: bank-3; 3 members are left", "seconds": 9.5})
    model = _outcome(store, state, job, members)
    return job, failed, queued, model


def _outcome(store: Store, state: Path, job: str, members: list[str]) -> str:
    from coordinator.registry import Registry

    registry = Registry(state / "models")
    model = registry.put(b'{"format": "creditmesh-model/1"}')
    store.add_model(ModelRecord(model, job, f"models/{model}.json"))
    store.release_model(model, job)
    document = {
        "job": job, "recipe": "scorecard", "state": "done", "reason": "", "seconds": 4.5,
        "left_out": {"bank-4": "no-answer"},
        "members": members, "model_sha256": model, "released": True, "rounds": 60, "sums": 60, "smallest_cohort": 5,
        "dropouts": 0, "upload_bytes": {}, "manifest_sha256": "cd" * 32,
        "dp": {"epsilon": "3", "delta": "0.000001", "multiplier": 1_500_000},
        "metrics": {"auc": 0.8125, "ks": 0.4711, "gini": 0.625, "brier": 0.05, "ece": 0.004, "psi": 0.001, "rows": 8850,
                    "bads": 621, "roc": [[0.0, 0.0], [0.25, 0.625], [1.0, 1.0]],
                    "calibration": [[873, 1, 0.003], [880, 30, 0.041], [882, 264, 0.29]]},
    }  # fmt: skip
    folder = state / "jobs" / job
    folder.mkdir(parents=True)
    (folder / "outcome.json").write_text(json.dumps(document))
    return model


def token_of(page: str) -> str:
    """Return the token in a page's first form."""
    found = re.search(r'name="token" value="([^"]+)"', page)
    assert found is not None
    return found.group(1)
