"""Paths that clients send: what is refused, and where an address leads."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core import client_paths
from bedplate.core.client_paths import Place
from bedplate.core.errors import UserError

REFUSED = [
    "", "/etc/passwd", "..", "../a", "a/../b", "a/..", "./a", "a//b", "a/", "a\\b", "..\\..\\x", "C:/x", "c:\\x", "a\0b", "a\nb", "a\x7fb",
    "%2e%2e/x", "%252e%252e/x", "a/%2e%2e%2fb", "a%5cb", "a%00b", ".. /x", "\ud800",
    "a" * 256, "x/" * 60 + "y", "b" * 200 + "/" + "é" * 500,
    "a\u2028b",
]  # fmt: skip
TAKEN = ["a", "model/MLmodel", "plots/été 1.png", "100%.txt", "a%25b", "a..b", "...", "שלום/数.bin", "#1", "ab:c"]


@pytest.mark.bad_input
@pytest.mark.parametrize("path", REFUSED)
def test_a_path_that_could_leave_its_folder_is_refused_by_rule(path: str) -> None:
    with pytest.raises(UserError, match="Invalid path"):
        client_paths.file_path(path)


@pytest.mark.parametrize("path", TAKEN)
def test_names_of_every_script_may_name_a_file(path: str) -> None:
    assert client_paths.file_path(path) == path


@given(st.text(alphabet=st.sampled_from("./\\%25eC:0ax "), max_size=30))
def test_what_is_taken_never_leaves_its_folder_however_often_it_is_decoded(path: str) -> None:
    try:
        seen = client_paths.file_path(path)
    except UserError:
        return
    for _ in range(4):
        assert not seen.startswith("/")
        assert "\\" not in seen
        assert ".." not in seen.split("/")
        seen = unquote(seen)


@pytest.mark.parametrize(
    "place",
    [
        Place(owner="run", id="f" * 32, experiment=7, path="model/MLmodel"),
        Place(owner="run", id="a-0abc-12", experiment=0),
        Place(owner="model", id="m-12ab", experiment=3, path="x"),
        Place(owner="trace", id="tr-12ab", experiment=3, path="traces.json"),
        Place(owner="version", id="my model", number=4, path="a/b"),
    ],
)
def test_an_address_leads_back_to_its_place(place: Place) -> None:
    told = client_paths.address(place)
    assert told.startswith("mlflow-artifacts:/")
    assert client_paths.place(unquote(told.removeprefix("mlflow-artifacts:/"))) == place


@pytest.mark.bad_input
@pytest.mark.parametrize("address", ["", "0", "etc/passwd", "0/run", "0/run/other/x", "registry/m", "registry/m/x", "-1/r/artifacts/x"])
def test_an_address_of_nothing_is_refused(address: str) -> None:
    with pytest.raises(UserError):
        client_paths.place(address)


@pytest.mark.parametrize(
    ("text", "model", "version", "owner"),
    [
        ("runs:/" + "a" * 32 + "/model", "", "", "run"),
        ("models:/m-12ab", "", "", "model"),
        ("models:/churn/3", "churn", "3", ""),
        ("models:/churn@best", "churn", "best", ""),
        ("mlflow-artifacts:/1/" + "a" * 32 + "/artifacts/model", "", "", "run"),
        ("mlflow-artifacts:/registry/my%20model/3", "my model", "3", ""),
    ],
)
def test_a_source_of_ours_is_read(text: str, model: str, version: str, owner: str) -> None:
    found = client_paths.source(text)
    assert (found.model, found.version, found.place.owner if found.place else "") == (model, version, owner)


@pytest.mark.bad_input
@pytest.mark.parametrize(
    "text",
    [
        "/etc", "file:///etc", "http:///#/../etc", "file:///tmp;/../../etc", "s3://bucket/x", "runs:/a/../../etc", "mlflow-artifacts://host/0/r/artifacts",
        "mlflow-artifacts:/0/r/artifacts?x=1", "mlflow-artifacts:/0/r/artifacts/%2e%2e/x", "", "runs:/", "models:/a/b/c",
    ],
)  # fmt: skip
def test_a_source_elsewhere_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        client_paths.source(text)
