"""The decision API over HTTP: who calls, what came, which answer; everything else is `node.scorer.office`.

It decides nothing. Theory: every request is bounded before it is read, parsed strictly, and refused in one line that
names a key and never repeats a value. Answers are bytes that were recorded, so they are sent as they are, without a
second look by a serialiser.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import JSONResponse
from starlette.routing import Route

from node.scorer.answers import (
    DECISION_EXAMPLE,
    BatchAnswer,
    DecisionAnswer,
    DecisionFile,
    HealthAnswer,
    ModelAnswer,
    Problem,
    ScoreAnswer,
)
from node.scorer.bodies import DECISION, LARGEST_BATCH, LARGEST_BODY, BatchBody, DecisionBody, OverrideBody, ScoreBody
from node.scorer.meters import Meters
from node.scorer.office import Answer, Office
from node.scorer.sessions import Sessions
from node.tokens import Caller, allowed

__all__ = ["caller_of", "create_app"]

JSON = "application/json"
_HEADERS = {"cache-control": "no-store"}
_BATCH = TypeAdapter(BatchBody)
_SCORE = TypeAdapter(ScoreBody)
_OVERRIDE = TypeAdapter(OverrideBody)
_MOST_FAULTS = 8
Handled = Callable[[Request], Awaitable[Response]]
_Responses = dict[int | str, dict[str, Any]]


class _Refused(Exception):
    """A request that is not served, with its answer."""

    def __init__(self, status: int, code: str, message: str, faults: Sequence[dict[str, str]] | None = None) -> None:
        super().__init__(code)
        more = {} if faults is None else {"faults": list(faults)}
        self.response = JSONResponse({"code": code, "message": message, **more}, status)


def create_app(office: Office) -> FastAPI:
    """Return the API over an office; while it runs, the office's files are watched."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> Any:
        watching = asyncio.create_task(office.watch())
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching

    app = FastAPI(title="creditmesh decision API", version="1", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.office, app.state.meters, app.state.sessions = office, Meters(), Sessions(office.tokens)
    app.add_exception_handler(_Refused, _refused)
    _add_routes(app)
    _describe(app)
    return app


def caller_of(request: Request, action: str) -> Caller:
    """Return who calls, who must be allowed to do `action`; raises what the app answers with 401 or 403."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    found = request.app.state.office.tokens.caller(token) if kind.lower() == "bearer" else None
    if found is None:
        raise _Refused(401, "token", "a token is needed: Authorization: Bearer cmt_...; creditmesh-node token add")
    if not allowed(found, action):
        raise _Refused(403, "role", f"role {found.role} may not do this")
    return found


async def _decide(request: Request) -> Response:
    began = time.perf_counter()
    caller = caller_of(request, "decide")
    raw = await _body(request, LARGEST_BODY)
    body = _parsed(DECISION, raw)
    answer = await _office(request).decide(body, raw, caller)
    request.app.state.meters.decided(answer, time.perf_counter() - began)
    return _response(answer)


async def _find(request: Request) -> Response:
    caller_of(request, "read")
    return _response(_office(request).find(request.path_params["application_id"]))


async def _override(request: Request) -> Response:
    caller = caller_of(request, "override")
    body = _parsed(_OVERRIDE, await _body(request, LARGEST_BODY))
    answer = await _office(request).override(request.path_params["application_id"], body, caller)
    if answer.status == 200:
        request.app.state.meters.overridden(body.decision)
    return _response(answer)


async def _score(request: Request) -> Response:
    caller_of(request, "score")
    return _response(_office(request).score(_parsed(_SCORE, await _body(request, LARGEST_BODY))))


async def _score_batch(request: Request) -> Response:
    caller_of(request, "score")
    body = _parsed(_BATCH, await _body(request, LARGEST_BATCH))
    return _response(await asyncio.to_thread(_office(request).score_batch, body))


async def _model(request: Request) -> Response:
    caller_of(request, "read")
    return _response(_office(request).model())


async def _health(request: Request) -> Response:
    office = _office(request)
    faults = sorted(office.faults)
    return JSONResponse({"ready": not faults, "unavailable": faults}, 503 if faults else 200)


async def _metrics(request: Request) -> Response:
    caller_of(request, "metrics")
    content, kind = request.app.state.meters.page(_office(request))
    return Response(content, media_type=kind)


def _add_routes(app: FastAPI) -> None:
    """Add every route with what OpenAPI says of it; bodies are read by the routes themselves."""
    refusals: _Responses = {status: {"model": Problem} for status in (400, 401, 403, 404, 409, 413, 422)}
    unready: _Responses = {503: {"model": Problem, "description": "a part is missing"}}
    unkept: _Responses = {503: {"model": DecisionAnswer, "description": "nothing can be recorded: a person decides"}}
    one = "/v1/decisions/{application_id}"
    said = {**_takes(OverrideBody), **_path_id()}
    routes: tuple[tuple[str, str, Handled, type[BaseModel], str, _Responses, dict[str, Any]], ...] = (
        ("POST", "/v1/decisions", _decide, DecisionAnswer, "Decide on an application", unkept, _takes(DecisionBody)),
        ("GET", one, _find, DecisionFile, "A decision and what people said of it", {}, _path_id()),
        ("POST", f"{one}/override", _override, DecisionFile, "Override a decision as a person", unready, said),
        ("POST", "/v1/score", _score, ScoreAnswer, "Score one applicant", unready, _takes(ScoreBody)),
        ("POST", "/v1/score:batch", _score_batch, BatchAnswer, "Score many applicants", unready, _takes(BatchBody)),
        ("GET", "/v1/model", _model, ModelAnswer, "What is in service", {}, {}),
        ("GET", "/healthz", _health, HealthAnswer, "200 once the self-test matches", unready, {"security": []}),
    )
    for method, path, handled, answer, summary, more, extra in routes:
        app.add_api_route(
            path,
            handled,
            methods=[method],
            summary=summary,
            response_model=None,
            responses={200: {"model": answer}, **refusals, **more},
            openapi_extra=extra,
        )
    # The two that are called most go past FastAPI's solving of dependencies, of which they have none.
    app.router.routes[:0] = [Route(path, handled, methods=["POST"]) for _, path, handled, *_ in (routes[0], routes[3])]
    app.add_api_route("/metrics", _metrics, methods=["GET"], include_in_schema=False, response_model=None)


def _takes(body: type[BaseModel]) -> dict[str, Any]:
    reference = {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}
    return {"requestBody": {"required": True, "content": {JSON: reference}}}


def _path_id() -> dict[str, Any]:
    pattern = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._:\-]{0,63}$"}
    return {"parameters": [{"name": "application_id", "in": "path", "required": True, "schema": pattern}]}


def _describe(app: FastAPI) -> None:
    """Make the OpenAPI document know the bodies that routes read by themselves, and the token."""
    made = app.openapi

    def openapi() -> dict[str, Any]:
        document = made()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        for body in (DecisionBody, OverrideBody, ScoreBody, BatchBody):
            schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(schema.pop("$defs", {}))
            schemas[body.__name__] = schema
        schemas["DecisionAnswer"].setdefault("examples", [DECISION_EXAMPLE])
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"token": []}]
        return document

    app.openapi = openapi  # type: ignore[method-assign]


def _office(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


async def _body(request: Request, most: int) -> bytes:
    """Return the body, refused once it is larger than `most` bytes."""
    stated = request.headers.get("content-length", "0")
    if not stated.isdigit() or int(stated) > most:
        raise _Refused(413, "too-large", f"a body of more than {most} bytes is not read")
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most:
            raise _Refused(413, "too-large", f"a body of more than {most} bytes is not read")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _parsed(adapter: TypeAdapter[Any], raw: bytes) -> Any:
    try:
        return adapter.validator.validate_json(raw)
    except ValidationError as error:
        faults = [
            {"at": ".".join(str(step)[:64] for step in fault["loc"]), "expected": fault["msg"][:200]}
            for fault in error.errors(include_url=False, include_context=False, include_input=False)[:_MOST_FAULTS]
        ]
        raise _Refused(422, "body", "the body is not what this path takes; see /openapi.json", faults) from None


def _response(answer: Answer) -> Response:
    return Response(answer.content, answer.status, _HEADERS, JSON)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, _Refused)
    return error.response
