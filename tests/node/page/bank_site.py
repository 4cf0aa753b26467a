"""A bank whose node took part in a job, was offered another, spent budget and wrote its log: what its pages show."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import httpx

from node.budget import cap_of
from node.config import NodeConfig, load
from node.ledger_store import LedgerStore
from node.offer_book import OfferBook
from node.page.bank_routes import add_bank_pages
from node.page.routes import add_page
from node.scorer.app import create_app
from node.scorer.serve import open_office
from node.service import open_store
from node.tokens import TokenFile
from privacy.log.access import AccessNote
from privacy.manifest import Manifest
from tests.node.bank import make_bank
from tests.privacy.table import manifest_of
from tests.privacy.test_ledger import RELEASE

__all__ = ["JOB", "OFFERED", "Site", "make_site", "visited"]

JOB, OFFERED = "job-0001-aaaa", "job-0002-bbbb"
RESULT = {
    "job": JOB, "recipe": "scorecard", "state": "done", "rows_train": 700, "rows_test": 300, "chosen": "mixed",
    "auc_own": 0.61234, "auc_network": 0.7, "auc_mixed": 0.71, "ks_own": 0.2, "ks_network": 0.3, "ks_mixed": 0.31,
    "models": {"network": "a1" * 32, "own": "b2" * 32, "head": "c3" * 32},
    "calibration": {"own": {"raw": {"ece": 0.04}, "calibrated": {"ece": 0.02}}},
}  # fmt: skip


class Site:
    """A bank's folder and its settings."""

    def __init__(self, config: NodeConfig, source: Path) -> None:
        self.config, self.source = config, source

    @property
    def state(self) -> Path:
        """Return the state folder."""
        return self.config.state.dir

    def token(self, role: str) -> str:
        """Return a fresh token of a role."""
        return TokenFile(self.state).add(f"some-{role}", role, "2026-11-24T00:00:00Z")

    def notes(self) -> list[dict[str, str]]:
        """Return what was noted for the log, and not yet taken up."""
        return [json.loads(path.read_bytes()) for path in (self.state / "access").glob("*.json")]


def offer(job: str = OFFERED) -> Manifest:
    """Return an offer of a job."""
    return replace(manifest_of(["alpha", "beta", "delta", "gamma"]), job=job)


def make_site(folder: Path) -> Site:
    """Write the folder; the node's own process has ended."""
    bank = make_bank(folder)
    bank.config.write_text(bank.config.read_text() + '[scoring]\nlisten = "127.0.0.1:0"\n')
    config = load(bank.config)
    state = config.state.dir
    with closing(open_store(config, bytes(32))) as store:
        store.append([AccessNote("uid-7", "export", f"folder-{number}").entry() for number in range(60)])
    with closing(LedgerStore(state, "alpha/privacy-log")) as ledger:
        for number in range(3):
            release = replace(RELEASE, job=JOB, position=number)
            ledger.spend(ledger.reserve(release, cap_of(config.permit), 1_700_000_000_000_000).number)
    (state / "jobs" / JOB).mkdir(parents=True)
    (state / "jobs" / JOB / "result.json").write_text(json.dumps(RESULT))
    (state / "jobs" / JOB / "figures.json").write_text(json.dumps({"auc": 0.72345}))
    (state / "rounds").mkdir()
    (state / "rounds" / f"{JOB}.jsonl").write_text("{}\n" * 5)
    OfferBook(state).hold(offer(), 1_700_000_000_000_000)
    return Site(config, bank.config)


class Visitor:
    """Somebody with a browser who signed in."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client, self.form = client, ""

    async def get(self, path: str, language: str = "en") -> httpx.Response:
        """Ask for a page and remember what its forms carry."""
        answer = await self.client.get(path, headers={"accept-language": language})
        found = re.search(r'name="form" value="([0-9a-f]+)"', answer.text)
        self.form = found.group(1) if found else self.form
        return answer

    async def post(self, path: str, **fields: str) -> httpx.Response:
        """Send a form of a page that was shown."""
        return await self.client.post(path, data={"form": self.form, **fields}, headers={"accept-language": "en"})


@asynccontextmanager
async def visited(site: Site, role: str | None) -> AsyncIterator[Visitor]:
    """Serve the pages and sign somebody in with this role; nobody for None."""
    secret = site.token(role) if role else ""
    with closing(open_office(site.config)) as office:
        app = create_app(office)
        add_page(app, "alpha", is_secure=False)
        add_bank_pages(app, site.config, site.source)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://bank") as client:
            if role:
                assert (await client.post("/desk/sign-in", data={"token": secret})).status_code == 303
            yield Visitor(client)
