"""The one table of routes: where a path leads, and that it leads nowhere by any other spelling."""

from __future__ import annotations

import pytest

from bedplate.core.errors import InternalError
from bedplate.interfaces.http.door.endpoint import MOST_OPEN, OPEN, Asks, Endpoint, on_server
from bedplate.interfaces.http.door.routes import Routes
from bedplate.interfaces.http.up.table import ANSWERED, endpoints
from bedplate.security.permissions import PERMISSIONS


def row(method: str, path: str, action: str = "run.read", *, writes: bool = False) -> Endpoint:
    return Endpoint(method, path, Asks, action, on_server, lambda _desk, _asked: {}, writes=writes)  # type: ignore[arg-type]


ROUTES = Routes(
    [
        row("GET", "/api/2.0/mlflow/runs/get"),
        row("POST", "/api/2.0/mlflow/runs/get"),
        row("GET", "/api/2.0/things/{id}"),
        row("GET", "/api/2.0/things/special"),
        row("GET", "/api/2.0/things/{id}/parts/{part}"),
        row("PUT", "/api/2.0/files/{path...}"),
    ]
)


def test_a_path_leads_to_a_route_for_each_method_and_says_what_it_names() -> None:
    found = ROUTES.find("/api/2.0/mlflow/runs/get")
    assert found is not None
    assert set(found.methods) == {"GET", "POST"}
    named = ROUTES.find("/ajax-api/2.0/things/7/parts/x")
    assert named is not None
    assert named.values == {"id": "7", "part": "x"}
    rest = ROUTES.find("/api/2.0/files/a/b c/../d")
    assert rest is not None
    assert rest.values == {"path": "a/b c/../d"}, "what names a file is judged by the files' own check, as it came"


def test_a_path_that_is_given_goes_before_a_pattern() -> None:
    found = ROUTES.find("/api/2.0/things/special")
    assert found is not None
    assert found.values == {}


@pytest.mark.parametrize(
    "path",
    [
        "//api/2.0/mlflow/runs/get",
        "/api//2.0/mlflow/runs/get",
        "/api/2.0/mlflow/runs/get/",
        "/api/2.0/mlflow/runs/get.",
        "/api/2.0/mlflow/runs/get;x",
        "/api/2.0/mlflow/runs/get\0",
        "/api/2.0/mlflow/runs/get ",
        "/API/2.0/mlflow/runs/get",
        "/static/../api/2.0/mlflow/runs/get",
        "/api/2.0/./mlflow/runs/get",
        "/api/2.0/things/",
        "/api/2.0/things//parts/x",
        "/api/2.0/files",
        "",
    ],
)
def test_no_other_spelling_leads_anywhere(path: str) -> None:
    assert ROUTES.find(path) is None


@pytest.mark.parametrize(
    "rows",
    [
        [row("GET", "/a"), row("GET", "/a")],
        [row("GET", "/a", "no.such")],
        [row("POST", "/a", OPEN, writes=True)],
    ],
)
def test_a_table_that_is_not_sound_is_refused(rows: list[Endpoint]) -> None:
    """A route twice, an action that no row of the permissions has, an open endpoint that would write before it knows who asks."""
    with pytest.raises(InternalError):
        Routes(rows)


def test_every_endpoint_of_the_server_has_an_action_and_few_are_open() -> None:
    """Open: health, version, the login and a provider's way back; nothing else, and a new one turns this red."""
    table = Routes(endpoints()).endpoints
    opened = [one.path for one in table if one.action == OPEN]
    assert all(one.action in PERMISSIONS for one in table if one.action != OPEN)
    assert set(ANSWERED) >= {("GET", "/health"), ("GET", "/version")}
    assert len(ANSWERED) + len(opened) <= MOST_OPEN


def test_what_writes_is_an_action_that_writes() -> None:
    """A token that only reads is kept from every endpoint that changes the record."""
    wrong = [one.path for one in endpoints() if one.writes and one.action != OPEN and not PERMISSIONS[one.action].writes]
    assert wrong == []
