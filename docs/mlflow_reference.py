"""The page docs/reference/mlflow.md: each endpoint of MLflow's own servers, whether it is answered here, and which clients drove it.

`tests/clients/surface.csv` says what the two servers answer (read from their routes), `tests/clients/driven.csv` what the tests with
MLflow's own clients asked and got (tests/driven.py compares it with each of their runs); the table of routes says what is answered.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from typing import NamedTuple

from pages import ROOT, page, table

from bedplate.interfaces.http.door.routes import Routes
from bedplate.interfaces.http.up.table import ANSWERED, endpoints

CLIENTS = ROOT / "tests" / "clients"
LINES = {"mlflow-1": "1.30", "mlflow-2": "2.22", "mlflow-3": "3.17"}
PARTS = {
    "gateway": "a proxy to providers of language models, with their keys",
    "assistant": "a chat about the page, in the page",
    "mcp-servers": "a list of servers of tools for agents",
    "scorers": "judges that are run by the server: a check of the project judges",
    "scorer": "judges that are run by the server: a check of the project judges",
    "genai": "judges that are run by the server: a check of the project judges",
    "label-schemas": "forms for people who label traces",
    "review-queues": "lists for people who label traces",
    "issues": "findings of a language model over traces",
    "prompt-optimization": "jobs that the server runs: a step of the project is what runs",
    "jobs": "jobs that the server runs: a step of the project is what runs",
    "workspaces": "tenants within a server: a state of its own for each",
    "roles": "roles that are made up: here they are five, [in a table](roles.md)",
    "users": "the page for signing up, and lists: `bedplate account`, `bedplate audit why`",
    "signup": "the page for signing up, and lists: `bedplate account`, `bedplate audit why`",
    "demo": "the page's own",
    "ui-telemetry": "the page's own",
    "gateway-proxy": "the page's own",
    "get-trace-artifact": "the page's own",
    "upload-artifact": "the page's own",
    "runs": "the page's own",
    "presigned": "addresses into the bucket: bytes go through the door, which knows who asks",
    "artifacts": "addresses into the bucket: bytes go through the door, which knows who asks",
    "traces": "figures over traces; and what the line 2.x declares and its client does not ask",
    "unified-traces": "Databricks' own",
    "get-online-trace-details": "Databricks' own",
}
"""Why the endpoints of a part that are not answered are not."""


class Asked(NamedTuple):
    """An endpoint of MLflow's, and in which of its servers it is."""

    method: str
    path: str
    in_2: str
    in_3: str

    @property
    def part(self) -> str:
        """What it is about: the word behind `mlflow/`."""
        words = [word for word in re.split(r"/|:", self.path) if word and word not in ("ajax-api", "api", "2.0", "3.0", "mlflow")]
        return words[1] if words[0] == "mlflow-artifacts" and words[1] == "presigned" else words[0]

    @property
    def row(self) -> tuple[str, str, str]:
        """The endpoint, and the servers that have it."""
        return f"`{self.method} {self.path}`", self.in_2, self.in_3


def surface() -> list[Asked]:
    """Every endpoint of MLflow's two servers."""
    with (CLIENTS / "surface.csv").open(newline="") as file:
        return [Asked(*row) for row in list(csv.reader(file))[1:]]


def driven() -> dict[tuple[str, str], str]:
    """Method and path as our table has them -> the lines of the client that a test drives them with."""
    with (CLIENTS / "driven.csv").open(newline="") as file:
        found: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        for client, _, method, path in list(csv.reader(file))[1:]:
            found[method, path].add(LINES[client])
    return {key: ", ".join(sorted(lines)) for key, lines in found.items()}


def answered_as(routes: Routes, one: Asked) -> tuple[str, str] | None:
    """Our row for an endpoint of theirs; None where it is not answered."""
    if (one.method, one.path) in ANSWERED:
        return one.method, one.path
    found = routes.find(re.sub(r"\{\w+(\.\.\.)?\}", "x", one.path))
    if found is None or one.method not in found.methods:
        return None
    return one.method, found.methods[one.method].endpoint.path


def mlflow() -> str:
    """Each endpoint as covered or not."""
    routes, lines = Routes(endpoints()), driven()
    ours = {one: answered_as(routes, one) for one in surface()}
    covered = [(*one.row, lines.get(key, "no")) for one, key in ours.items() if key is not None]
    rest = [(*one.row, PARTS[one.part]) for one, key in ours.items() if key is None]
    theirs = set(ours.values())
    more = [
        (f"`{one.method} {one.path}`", lines.get((one.method, one.path), "no"))
        for one in routes.endpoints
        if (one.method, one.path) not in theirs and "/mlflow" in one.path
    ]
    counts = {client: sum(client in row[3] for row in covered) for client in LINES.values()}
    intro = (
        f"Of the {len(ours)} endpoints of MLflow's servers 2.22.5 and 3.17.2, sign-in included, `bedplate up` answers {len(covered)}. "
        f"Tests with MLflow's own clients drive {counts['2.22']} of those with the line 2.x, {counts['3.17']} with 3.x and "
        f"{counts['1.30']} with 1.30. What is answered under `/api/` is answered under `/ajax-api/` too."
    )
    return page(
        "The MLflow API",
        intro,
        "## Answered",
        "Driven by: the lines of MLflow's client that a test got an answer for; the others are driven by tests that speak HTTP.",
        table(("endpoint", "2.22.5", "3.17.2", "driven by"), covered),
        "## Answered, and in neither server",
        "For clients of other lines, and for files and parts of files.",
        table(("endpoint", "driven by"), sorted(more)),
        "## Not answered",
        "They get 404 `ENDPOINT_NOT_FOUND`.",
        table(("endpoint", "2.22.5", "3.17.2", "what it is"), rest),
    )
