"""Call an app in this process, without a socket: what tests of the API use."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from node.config import NodeConfig
from node.scorer.app import create_app
from node.scorer.office import Office
from node.scorer.serve import open_office
from tests.node.scorer.bank_desk import token

__all__ = ["Api", "api_of", "post"]


class Api:
    """One role's view of the API."""

    def __init__(self, office: Office, client: httpx.AsyncClient, tokens: dict[str, str]) -> None:
        self.office, self.client, self.tokens = office, client, tokens

    async def call(self, method: str, path: str, content: bytes | None = None, role: str = "scorer") -> httpx.Response:
        headers = {"authorization": f"Bearer {self.tokens[role]}"} if role else {}
        return await self.client.request(method, path, content=content, headers=headers)

    async def decide(self, content: bytes, role: str = "scorer") -> dict[str, Any]:
        answer = await self.call("POST", "/v1/decisions", content, role)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = json.loads(answer.content)
        return found


@asynccontextmanager
async def api_of(settings: NodeConfig) -> AsyncIterator[Api]:
    """Open a bank's office and the API over it; the office's files are watched by nobody: call `reload`."""
    tokens = {role: token(settings, role) for role in ("scorer", "account-manager", "risk", "auditor")}
    office = open_office(settings)
    try:
        transport = httpx.ASGITransport(create_app(office), raise_app_exceptions=True)
        async with httpx.AsyncClient(transport=transport, base_url="http://scorer") as client:
            yield Api(office, client, tokens)
    finally:
        office.close()


async def post(app: Any, path: str, content: bytes, secret: str) -> tuple[int, bytes]:
    """Call an ASGI app without a client's cost and return status and body; an error in the app is raised."""
    headers = [(b"authorization", f"Bearer {secret}".encode()), (b"content-length", str(len(content)).encode())]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": path,
             "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http", "headers": headers,
             "client": ("127.0.0.1", 1), "server": ("scorer", 80), "state": {}}  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])
