"""Put the console together: routes, the live stream, static files, and the guard around all of them.

It opens no port (`coordinator.console.server`). Theory: FastAPI routes and nothing else here: no generated pages, no
schema, no redirects of slashes, since every address that exists stands in one table.
"""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from coordinator.console.door import Entrance, enter, language_of, refusal, remember_language
from coordinator.console.entry import Entry
from coordinator.console.guard import Guard
from coordinator.console.routes import ENTRANCES
from coordinator.console.visit import Desk

__all__ = ["PUBLIC", "build"]

# Addresses that need no account: the log-in page, files that hold nothing of the network, and a sign of life.
PUBLIC = ("/login", "/logout", "/static/{name:path}", "/healthz")


def build(desk: Desk, hosts: Callable[[], frozenset[str]]) -> Guard:
    """Return the application. hosts: returns the values of `Host` that are answered."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    entry = Entry(desk)

    async def show_login(request: Request) -> Response:
        return remember_language(desk, request, await entry.show(request))

    for entrance in ENTRANCES:
        app.add_api_route(entrance.path, _endpoint(desk, entrance), methods=[entrance.method], response_model=None)
    app.add_api_route("/login", show_login, methods=["GET"], response_model=None)
    app.add_api_route("/login", entry.log_in, methods=["POST"], response_model=None)
    app.add_api_route("/logout", entry.log_out, methods=["POST"], response_model=None)

    async def static(request: Request) -> Response:
        return desk.pages.static(request.path_params["name"])

    async def alive(_request: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    async def refused(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return refusal(desk, language_of(request), "missing" if status in (404, 405) else "fault", status)

    app.add_api_route("/static/{name:path}", static, methods=["GET"], response_model=None)
    app.add_api_route("/healthz", alive, methods=["GET"], response_model=None)
    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(500, refused)
    return Guard(app, hosts, desk.secure)


def _endpoint(desk: Desk, entrance: Entrance) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        return remember_language(desk, request, await enter(desk, entrance, request))

    return answer
