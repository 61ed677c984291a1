"""What `bedplate serve` runs: a workspace's site, served, with what a person or a program is told of it."""

from __future__ import annotations

import sys

import msgspec

from bedplate.pipeline.workspace import Parts
from bedplate.stages.deploy.site import Site, site_of

from .server import Ready, serve


def serve_parts(parts: Parts, host: str, port: int, json_line: bool) -> int:
    """Serve a workspace until told to stop; returns the exit code. Raises what `serve` and `site_of` raise."""
    return serve_site(site_of(parts), host, port, json_line)


def serve_site(site: Site, host: str, port: int, json_line: bool) -> int:
    """Serve a site until told to stop; with `json_line` it prints one line, `{"url", "models", "services"}`, when it is ready."""

    def announce(ready: Ready, _: object) -> None:
        text = msgspec.json.encode(_told(ready)).decode() if json_line else _greeting(site.project, ready)
        print(text, flush=True)

    lost = serve(site, host, port, announce)
    if lost:
        print(f"{lost} predictions could not be logged before the server stopped", file=sys.stderr)
    return 0


def _told(ready: Ready) -> dict[str, object]:
    return {"url": ready.url, "models": ready.models, "services": ready.services}


def _greeting(project: str, ready: Ready) -> str:
    lines = [f"{project} serves at {ready.url}", f"  page     {ready.url}/docs"]
    lines += [f"  service  POST /{name}" for name in ready.services if name not in ready.waiting]
    lines += [f"  waiting  {name}: {reason}" for name, reason in ready.waiting.items()]
    return "\n".join([*lines, "  stop     Ctrl-C"])
