"""The pages beside the services: description, health, metrics, the Open Inference Protocol, and errors for every other path."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from importlib import resources
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

import bedplate
from bedplate.stages.deploy.deployment import Active, LoadedModel, Waiting
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Recorder
from bedplate.stages.deploy.runtime import Choice
from bedplate.stages.deploy.service import Service

from .answered import Answered, page, said
from .inference import Inference
from .messages import Messages
from .metrics import CONTENT_TYPE, Metrics
from .openapi import describe
from .predict import PATH, Predicting
from .replies import Problem

_BLOCKS: Final = re.compile(r"<(script|style)>(.*?)</\1>", re.DOTALL)


class Pages:
    """Everything that is asked with GET."""

    def __init__(self, holder: Holder, recorder: Recorder, metrics: Metrics, services: Sequence[Service], project: str) -> None:
        self._holder = holder
        self._recorder = recorder
        self._metrics = metrics
        self._services = {service.name: service for service in services}
        self._project = project
        self._page = resources.files(__package__).joinpath("docs.html").read_text("utf-8")
        self._policy = policy(self._page)

    def app(self, inference: Inference, predicting: Predicting, messages: Messages) -> Starlette:
        """The application that answers every path but a service's."""
        return Starlette(
            routes=[
                Route("/", self.root),
                Route("/docs", self.docs),
                Route("/services", self.root),
                Route("/services/{name:path}", self.of_service),
                Route("/openapi.json", self.openapi),
                *(Route(path, page(one)) for path, one in self.said().items()),
                *inference.routes(),
                *predicting.routes(),
                *messages.routes(),
            ],
            exception_handlers={HTTPException: self.no_page},
        )

    async def root(self, request: Request) -> Response:
        """To the page for people."""
        return RedirectResponse("docs")  # from where one stands: `up` has these pages under /services/

    async def of_service(self, request: Request) -> Response:
        """To the page for people, at a service that is asked for by the path that it has under `up`. Raises HTTPException 404."""
        name = request.path_params["name"]
        if name and name not in self._services:
            raise HTTPException(404)
        return RedirectResponse(f"../docs#{name}")

    async def docs(self, request: Request) -> Response:
        """The page that shows the services and tries a request; it loads nothing from elsewhere."""
        return HTMLResponse(self._page, headers={"Content-Security-Policy": self._policy, "X-Content-Type-Options": "nosniff"})

    async def openapi(self, request: Request) -> Response:
        """What serves now, in OpenAPI 3.1."""
        return _json(describe(self._holder.current, self._services, self._project, bedplate.__version__))

    def said(self) -> dict[str, Callable[[], Answered]]:
        """The pages that programs ask for again and again, by path."""
        return {"/health/live": self.live, "/health/ready": self.ready, "/metrics": self.metrics}

    def live(self) -> Answered:
        """The process answers."""
        return said({"live": True})

    def ready(self) -> Answered:
        """Whether every service answers, which versions do, and what is wrong."""
        current = self._holder.current
        waiting = {name: one.reason for name, one in current.services.items() if not isinstance(one, Active)}
        problems = dict(current.problems)
        if self._recorder.problem:
            problems["log"] = self._recorder.problem
        body = {
            "ready": not waiting,
            "waiting": waiting,
            "services": {name: one.versions for name, one in current.services.items() if isinstance(one, Active)},
            "models": {name: one.version.number for name, one in current.models.items() if isinstance(one, LoadedModel)},
            "runtimes": {name: choice.line() for name, choice in _choices(current.models).items()},
            "problems": problems,
        }
        return said(body, 503 if waiting else 200)

    def metrics(self) -> Answered:
        """Prometheus' text form."""
        return Answered(200, b"content-type: %b\r\n" % CONTENT_TYPE, self._metrics.text())

    async def no_page(self, request: Request, error: Exception) -> Response:
        """The error for a path that does not exist, or a method that it does not take."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        path, method = request.url.path, request.method
        told = {key.lower(): value for key, value in (getattr(error, "headers", None) or {}).items()}
        if path.startswith(("/v2", PATH)):
            return _json({"error": f"{method} {path}: no such path in the protocol"}, status, told)
        if path.lstrip("/") in self._services:
            if method in ("GET", "HEAD") and "text/html" in request.headers.get("accept", ""):  # a browser: it follows a link to a service
                return RedirectResponse(f"docs#{path.lstrip('/')}")
            why, allowed = "what a service is asked is the body of the request", ((b"allow", b"POST"),)
            problem = Problem(405, f"{path} is asked with POST, not {method}", why=why, next="GET /docs shows how", headers=allowed)
            self._metrics.request(path.lstrip("/"), 405)
        elif status == 405:
            problem = Problem(405, f"{path} does not take {method}", why="a page is asked with GET", next="GET /docs")
            self._metrics.request("", 405)
        else:
            problem = Problem(404, f"there is no page {path}", why=f"services: {', '.join(self._services) or 'none'}", next="GET /docs")
        told |= {key.decode(): value.decode() for key, value in problem.headers}
        return Response(problem.body(), problem.status, headers=told, media_type="application/json")


def _choices(models: Mapping[str, LoadedModel | Waiting]) -> dict[str, Choice]:
    """The runtime that each model is asked by, of those that compute on rows of numbers."""
    return {name: one.choice for name, one in models.items() if isinstance(one, LoadedModel) and one.choice is not None}


def policy(page: str) -> str:
    """The Content-Security-Policy of a page: its own inline script and style by digest, requests to this server, nothing else."""
    digests: dict[str, list[str]] = {"script": [], "style": []}
    for kind, text in _BLOCKS.findall(page):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        digests[kind].append(f"'sha256-{digest}'")
    allowed = " ".join(f"{kind}-src {' '.join(found) or chr(39) + 'none' + chr(39)};" for kind, found in digests.items())
    return f"default-src 'none'; {allowed} connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
