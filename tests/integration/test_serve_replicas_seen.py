"""A router's replicas, where a person looks: `status`, its JSON, and the console's page of what serves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from replicas import Served, served, until
from up_site import as_process

from bedplate.catalog.services import ROUTER


def typed(folder: Path, *words: str) -> str:
    return subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=folder, capture_output=True, text=True, check=True).stdout


def listed(server: Served) -> list[dict[str, Any]]:
    """The replicas, as the record has them."""
    services = json.loads(typed(server.folder, "status", "--json"))["services"]
    return [replica for one in services if one["name"] == ROUTER for replica in one["replicas"]]


def test_each_replica_is_seen_with_where_it_is_and_how_it_stands(tmp_path: Path) -> None:
    """Two of its own, and one elsewhere that is not there; once the router has ended it is on no list."""
    words = ("--replicas", "2", "--replica", "http://127.0.0.1:9,zone=b,region=eu")
    with served(tmp_path, *words, place="zone=a,region=eu") as server:
        until(lambda: sorted(one["state"] for one in listed(server)) == ["gone", "ready", "ready"])
        assert server.ready["scale"] == [2, 2]
        assert server.ready["replicas"]["127.0.0.1:9"]["zone"] == "b"
        said = " ".join(typed(tmp_path, "status").split())
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


def test_a_router_without_a_replica_is_seen_all_the_same_and_ends_well_while_one_is_drained(tmp_path: Path) -> None:
    """While it has scaled to zero, `status` does not say that nobody serves. Told to stop while its last replica ends, it waits for that."""
    with served(tmp_path, "--replicas", "0..1", scale_to_zero="1 s", scale_in="1 s") as server:
        until(lambda: server.replicas() == {})
        until(lambda: ": 0 replicas" in typed(tmp_path, "status"))
        assert "next: bedplate serve" not in typed(tmp_path, "status")
        replica = server.who()
        until(lambda: server.states() == ["draining"])
        server.running.terminate()
        assert server.running.wait(60) == 0
        assert not Path(f"/proc/{replica}").exists()
