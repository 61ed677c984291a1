"""A router's replicas, where a person looks: `status`, and the console's page of what serves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from replicas import Served, served, until
from up_site import as_process

import bedplate
from bedplate.catalog.services import ROUTER, Replica


def status(folder: Path) -> str:
    typed = [sys.executable, "-m", "bedplate", "status"]
    return subprocess.run(typed, cwd=folder, capture_output=True, text=True, check=True).stdout


def listed(server: Served) -> list[tuple[Replica, ...]]:
    """The replicas of each router, as the record has them."""
    return [one.replicas for one in bedplate.open(server.folder).catalog.services.list() if one.name == ROUTER]


def test_each_replica_is_seen_with_where_it_is_and_how_it_stands(tmp_path: Path) -> None:
    """Two of its own, and one elsewhere that is not there; once the router has ended it is on no list."""
    words = ("--replicas", "2", "--replica", "http://127.0.0.1:9,zone=b,region=eu")
    with served(tmp_path, *words, place="zone=a,region=eu") as server:
        until(lambda: [sorted(one.state for one in each) for each in listed(server)] == [["gone", "ready", "ready"]])
        assert server.ready["scale"] == [2, 2]
        assert server.ready["replicas"]["127.0.0.1:9"]["zone"] == "b"
        said = " ".join(status(tmp_path).split())
        assert f"router at {server.ready['url']}: 3 replicas" in said
        assert "replica-0 a eu ready 0" in said
        assert "127.0.0.1:9 b eu gone 0" in said
        with as_process(tmp_path) as up:
            page = up.ask("GET", "/serving?csv=replicas").body.decode()
        assert [line.split(",")[:5] for line in page.splitlines()[1:]] == [
            ["127.0.0.1:9", server.ready["url"], "gone", "b", "eu"],
            ["replica-0", server.ready["url"], "ready", "a", "eu"],
            ["replica-1", server.ready["url"], "ready", "a", "eu"],
        ]
    assert listed(server) == []


@pytest.mark.slow
def test_a_router_without_a_replica_is_seen_and_one_that_is_stopped_while_its_last_one_ends_ends_well(tmp_path: Path) -> None:
    """While it has scaled to zero, `status` does not say that nobody serves. Told to stop, it waits for the replica that it drains.
    Of one that was killed that is said, until the next one takes it off the list.
    """
    with served(tmp_path, "--replicas", "0..1", scale_to_zero="1 s", scale_in="1 s") as server:
        until(lambda: listed(server) == [()])
        said = status(tmp_path)
        assert f"router at {server.ready['url']}: 0 replicas" in said
        assert "next: bedplate serve" not in said
        replica = server.who()
        until(lambda: server.states() == ["draining"])
        server.running.terminate()
        assert server.running.wait(60) == 0
        assert not Path(f"/proc/{replica}").exists()
    with served(tmp_path, "--replicas", "1") as server:
        until(lambda: listed(server) != [])
        server.running.kill()
        server.running.wait()
        assert f"router at {server.ready['url']}: its process is gone" in status(tmp_path)
        with served(tmp_path, "--replicas", "1") as again:
            until(lambda: [len(each) for each in listed(again)] == [1])
