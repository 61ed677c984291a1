"""A client of the tracking API that insists, as MLflow's own does: what got no answer, or 408, 429 or 5xx, is sent again as it was.

It keeps its connection alive. It is not MLflow's, so that ten of them cost a test one process; MLflow's own take part in the long suites.
"""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

API = "/api/2.0/mlflow"
_AGAIN = frozenset({408, 429, 500, 502, 503, 504})
_PATIENCE_S = 60.0


class Refused(Exception):
    """An answer that says no, for good."""

    def __init__(self, status: int, said: Any) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status
        self.code = said.get("error_code") if isinstance(said, dict) else ""


class Insisting:
    """One client with one connection; where it is lost the next is to another of the servers, if there are `others`.

    `tries` counts what was sent, `lost` what was not answered, `busy` what was answered "later", by status.
    """

    def __init__(self, url: str, token: str, patience_s: float = _PATIENCE_S, others: Sequence[str] = ()) -> None:
        self.tries = self.lost = 0
        self.busy: dict[int, int] = {}
        self.slowest_s = 0.0
        self._last = ""
        self._patience_s = patience_s
        self._urls = itertools.cycle((*others, url)) if others else itertools.repeat(url)
        self._connection = _to(url)
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def post(self, path: str, **body: Any) -> Any:
        """What is answered to a body at a path of the API. Raises Refused."""
        return self.ask("POST", f"{API}/{path}", json.dumps(body).encode())

    def get(self, path: str) -> Any:
        """What is answered to a question at a path of the API. Raises Refused."""
        return self.ask("GET", f"{API}/{path}", None)

    def named(self, name: str) -> list[Any]:
        """The runs of experiment 0 that have this name."""
        return list(self.post("runs/search", experiment_ids=["0"], filter=f"attributes.run_name = '{name}'").get("runs", []))

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str] | None = None) -> Any:
        """The answer, however often it takes to get one. Raises Refused, TimeoutError."""
        began, pause_s = time.monotonic(), 0.02
        while time.monotonic() - began < self._patience_s:
            found = self._once(method, path, body, {**self._headers, **(headers or {})})
            if found is not None and found[0] not in _AGAIN:
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
                status, raw, is_json = found
                said = json.loads(raw) if is_json else raw
                if status >= 400:
                    raise Refused(status, said)
                return said
            if found is not None:
                self.busy[found[0]] = self.busy.get(found[0], 0) + 1
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 0.3)
        said = f"of {self.tries} tries {self.lost} were lost ({self._last}), 'later' was said to {self.busy}"
        raise TimeoutError(f"{method} {path} got no answer in {self._patience_s:.0f} s: {said}")

    def new_run(self, started_ms: int, name: str = "", experiment: str = "0") -> str:
        """A run that says when it began, as MLflow's client always does."""
        made = self.post("runs/create", experiment_id=experiment, start_time=started_ms, run_name=name)
        return str(made["run"]["info"]["run_id"])

    def history(self, run: str, key: str) -> list[tuple[int, float]]:
        """Every point of a curve, as step and value."""
        found: list[tuple[int, float]] = []
        token = ""
        while True:
            page = self.get(f"metrics/get-history?run_id={run}&metric_key={key}&page_token={token}")
            found += [(int(one.get("step", 0)), float(one["value"])) for one in page.get("metrics", [])]
            token = page.get("next_page_token", "")
            if not token:
                return found

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, bytes, bool] | None:
        self.tries += 1
        try:
            self._connection.request(method, path, body, dict(headers))
            response = self._connection.getresponse()
            return response.status, response.read(), response.headers.get_content_type() == "application/json"
        except (OSError, http.client.HTTPException) as error:
            self.lost += 1
            self._last = repr(error)
            self._connection.close()
            self._connection = _to(next(self._urls))
            return None


def _to(url: str) -> http.client.HTTPConnection:
    host, _, port = url.partition("://")[2].partition(":")
    return http.client.HTTPConnection(host, int(port), timeout=30)
