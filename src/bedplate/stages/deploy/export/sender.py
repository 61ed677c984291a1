"""What the bundle counted, sent to a record as the metrics of a run, over MLflow's API; Python's library alone.

Each line is sent once: how far the file was sent is kept beside it, after every hundred lines. What was sent twice because the process
died between the two is the same point (name, time, step, value), which a record keeps once. The token goes to the address that was given
and nowhere else: over TLS or on loopback, without following a redirect.
"""

from __future__ import annotations

import ipaddress
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

API = "/api/2.0/mlflow/"
AT_ONCE = 100
TIMEOUT_S = 30.0
NAMES = ("requests", "rows", "errors", "missing", "seconds", "prediction_mean", "prediction_min", "prediction_max")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: the token is not for whoever it names."""

    def redirect_request(self, *_arguments: Any) -> None:
        """Follow none."""


class Record:
    """The record at an address."""

    def __init__(self, url: str, token: str) -> None:
        place = urllib.parse.urlsplit(url)
        if place.scheme not in ("http", "https") or not place.hostname:
            raise ValueError(f"{url} is no address of a record")
        if token and place.scheme == "http" and not _is_loopback(place.hostname):
            raise ValueError("a token is sent over https only, or on loopback")
        self.url, self.token = url.rstrip("/"), token
        self.opener = urllib.request.build_opener(NoRedirect)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a body; what was answered. Raises OSError, ValueError."""
        return self._ask(urllib.request.Request(self.url + API + path, json.dumps(body).encode(), method="POST"))

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """Ask; what was answered. Raises OSError, ValueError."""
        return self._ask(urllib.request.Request(f"{self.url}{API}{path}?{urllib.parse.urlencode(query)}"))

    def _ask(self, request: urllib.request.Request) -> dict[str, Any]:
        request.add_header("content-type", "application/json")
        if self.token:
            request.add_header("authorization", f"Bearer {self.token}")
        try:
            with self.opener.open(request, timeout=TIMEOUT_S) as answer:
                found: dict[str, Any] = json.loads(answer.read() or b"{}")
                return found
        except urllib.error.HTTPError as error:
            if error.code == 404:
                raise FileNotFoundError(request.full_url) from None
            raise ValueError(f"the record answered {error.code}: {error.read(300).decode('utf-8', 'replace')}") from None


def send(url: str, token_file: Path | None, metrics: Path, name: str) -> int:
    """Send the lines that were not sent; how many. Raises OSError, ValueError."""
    lines = metrics.read_text(encoding="utf-8").splitlines() if metrics.is_file() else []
    kept = metrics.with_name(metrics.name + ".sent")
    state: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else {"lines": 0, "run": ""}
    waiting = lines[state["lines"] :]
    if not waiting:
        return 0
    record = Record(url, token_file.read_text(encoding="utf-8").strip() if token_file else "")
    if not state["run"]:
        state["run"] = _run(record, name, json.loads(waiting[0]))
        _keep(kept, state)
    for at in range(0, len(waiting), AT_ONCE):
        few = waiting[at : at + AT_ONCE]
        points = [point for step, line in enumerate(few, state["lines"]) for point in _points(json.loads(line), step)]
        record.post("runs/log-batch", {"run_id": state["run"], "metrics": points})
        state["lines"] += len(few)
        _keep(kept, state)
    return len(waiting)


def _run(record: Record, name: str, first: dict[str, Any]) -> str:
    """A run for this machine's metrics, in an experiment of the bundle's name."""
    experiment = f"edge/{name}"
    try:
        found = record.get("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
    except FileNotFoundError:
        found = record.post("experiments/create", {"name": experiment})["experiment_id"]
    tags = [{"key": "bedplate.model", "value": first["model"]}, {"key": "mlflow.runName", "value": first["model"]}]
    made = record.post("runs/create", {"experiment_id": found, "start_time": first["at_ms"], "tags": tags})["run"]["info"]["run_id"]
    record.post("runs/update", {"run_id": made, "status": "FINISHED", "end_time": int(time.time() * 1000)})
    return str(made)


def _points(line: dict[str, Any], step: int) -> list[dict[str, Any]]:
    known = [key for key in NAMES if key in line]
    return [{"key": key, "value": line[key], "timestamp": line["at_ms"], "step": step} for key in known]


def _keep(path: Path, state: dict[str, Any]) -> None:
    """Replace the file as a whole."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(state), encoding="utf-8")
    beside.replace(path)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
