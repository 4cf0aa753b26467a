"""The account manager's page in a phone's browser: nothing cut off, axe finds nothing, from applicant to decision.

Run by `make accept`. Needs Chromium; the checker axe-core is fetched by `make accept`, and is left out without it.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from node.page.routes import add_page
from node.scorer.app import create_app
from node.scorer.serve import open_office
from tests.browser.axe import axe_script
from tests.node.scorer.bank_desk import body, make_bank, token

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.environ.get("BROWSER_TESTS"), reason="tests in a browser are run by `make accept`"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no Chromium at {CHROMIUM}; see CHROMIUM"),
]
WIDTH = 360


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Serve a bank's page; yield its address and an account manager's token."""
    settings = make_bank(tmp_path_factory.mktemp("page"))
    secret = token(settings, "account-manager")
    office = open_office(settings)
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as sock:
        app = create_app(office)
        add_page(app, "rural_bank", is_secure=False)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}", secret
        server.should_exit = True
        thread.join()
    office.close()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.mark.parametrize("language", ["zh-CN", "en-GB"])
def test_from_applicant_to_explained_decision_on_a_phone(
    chromium: Any, served: tuple[str, str], language: str, tmp_path: Path
) -> None:
    address, secret = served
    context = chromium.new_context(viewport={"width": WIDTH, "height": 740}, locale=language)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    record = tmp_path / "record.json"
    record.write_bytes(body(10, application_id=f"P-{language}"))
    script = axe_script()

    def look() -> None:
        assert page.evaluate("document.documentElement.scrollWidth") <= WIDTH
        if script is not None:
            # The policy of the page forbids scripts; the checker is evaluated beside it.
            page.evaluate(script.read_text("utf-8"))
            found = page.evaluate("axe.run()")["violations"]
            assert [(each["id"], [node["target"] for node in each["nodes"]]) for each in found] == []

    page.goto(f"{address}/desk")
    look()
    page.fill("#token", secret)
    page.click("main button")
    look()
    page.click("main a.button")
    look()
    page.click("details.load summary")
    page.set_input_files("#record", record)
    page.click("details.load button")
    look()
    page.click("button[formaction='/desk/try']")
    assert page.locator(".trial .badge").count() == 1
    look()
    page.click(".actions button:first-child")
    assert page.url.endswith(f"/desk/applications/P-{language}")
    look()
    assert 1 <= page.locator(".reasons li").count() <= 4
    page.locator("summary").last.click()
    look()
    page.click(".actions a.button")
    look()
    ours = [text for text in complaints if "404" not in text]
    assert ours == []
    context.close()
