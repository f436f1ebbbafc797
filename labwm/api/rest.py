"""The REST door, and the server that carries it, MCP and the pages."""

import json
import socket
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

import labwm
from labwm.api import mcp
from labwm.api.access import KeyGate, caller
from labwm.api.body_limit import LimitBody
from labwm.api.notice_route import PATH as NOTICES
from labwm.api.notice_route import notice_routes
from labwm.api.ports import listen
from labwm.api.problems import (
    invalid_body,
    problem,
    problem_answer,
    problem_of,
)
from labwm.api.routes import health_routes, routes
from labwm.api.web import pages
from labwm.errors import LabwmError
from labwm.schema import Problem

LOOPBACK_NAMES = ("127.0.0.1", "localhost")
Say = Callable[[str], None]


def create_app(*, allowed_hosts: Sequence[str] = LOOPBACK_NAMES) -> FastAPI:
    """Return the application: /v1, /mcp behind keys, and the pages behind a sign-in.

    Args:
        allowed_hosts: Names under which browsers and agents may address the server;
            any other `Host` is refused, which stops DNS rebinding.
    """
    tools = mcp.create_server(caller)
    tool_routes = mcp.routes_of(tools, allowed_hosts)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[None]:
        async with tools.session_manager.run():
            yield

    app = FastAPI(
        title="labwm",
        summary=labwm.__doc__,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/v1/openapi.json",
    )
    app.include_router(health_routes)
    app.include_router(routes)
    app.include_router(notice_routes)
    app.include_router(pages.routes, include_in_schema=False)
    app.mount("/static", pages.static_files())
    app.router.routes.extend(tool_routes)
    _answer_errors(app)
    app.add_middleware(KeyGate, guards=_needs_a_key)
    app.add_middleware(LimitBody)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))
    return app


def run_server(app: ASGIApp, *, host: str, port: int, say: Say) -> None:
    """Serve until told to stop; one process, so that a model stays in memory.

    Raises:
        UnavailableError: If the port is taken.
    """
    import uvicorn

    bound = listen(port, "the API", host=host)
    number = bound.getsockname()[1]

    class Announced(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            say(f"http://{host}:{number}")

    config = uvicorn.Config(app, log_level="warning", access_log=False)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how a server is meant to end
        Announced(config).run(sockets=[bound])


def openapi_json() -> str:
    """Return the OpenAPI document of the REST door as indented JSON."""
    return json.dumps(create_app().openapi(), indent=1, ensure_ascii=False) + "\n"


def _needs_a_key(path: str) -> bool:
    open_paths = ("/v1/health", "/v1/openapi.json", NOTICES)
    return path.startswith(("/v1/", "/mcp")) and path not in open_paths


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(LabwmError)
    def _deliberate(request: Request, error: LabwmError) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _answer(request, problem_of(error))

    @app.exception_handler(RequestValidationError)
    def _malformed(request: Request, error: RequestValidationError) -> Response:  # pyright: ignore[reportUnusedFunction]
        return _answer(request, invalid_body(error.errors()))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> Response:  # pyright: ignore[reportUnusedFunction]
        code = {404: "not-found", 405: "method-not-allowed"}
        found = problem(
            error.status_code, error.detail, code.get(error.status_code, "http")
        )
        answer = _answer(request, found)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(Exception)
    def _unexpected(request: Request, error: Exception) -> Response:  # pyright: ignore[reportUnusedFunction]
        detail = "This is a defect; the server's log holds the traceback."
        return _answer(request, problem(500, detail, "unexpected"))


def _answer(request: Request, found: Problem) -> Response:
    if request.url.path.startswith(("/v1", "/mcp")):
        return problem_answer(found)
    return pages.problem_page(request, found)
