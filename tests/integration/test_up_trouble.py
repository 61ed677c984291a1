"""What clients and the world do to a server: too much at once, the same again but different, names of every script, bodies cut off."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from insisting import Insisting, Refused
from mlflow_clients import Client
from up_site import API, Process, Up, as_process, in_thread

BYTES = {"Content-Type": "application/octet-stream"}
NAMES = (
    "العربية", "עברית", "فارسی", "日本語", "한국어", "中文", "ไทย", "हिन्दी", "বাংলা", "தமிழ்", "ქართული", "Հայերեն", "አማርኛ", "ខ្មែរ", "မြန်မာ",
    "Ελληνικά", "Русский", "Tiếng Việt", "𐎠𐎼𐎹", "🏳️‍🌈👩🏽‍🚀", "a\u200bb", "\u202egnp.exe", "é", "e\u0301", "ẛ̣", "ﬁ", "A", "\uff21", "\u0391",
    "\u0410", "%s' OR 1=1 --",
)  # fmt: skip
"""Every script that has a wide use, right to left, outside the basic plane, joined, invisible, turned around, and lookalikes."""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with in_thread(tmp_path_factory.mktemp("troubled")) as server:
        yield server


@pytest.fixture
def client(up: Up) -> Iterator[Insisting]:
    client = Insisting(up.url, up.token)
    yield client
    client.close()


def files_of(run: str) -> str:
    """Where a run of experiment 0 has its files."""
    return f"/api/2.0/mlflow-artifacts/artifacts/0/{run}/artifacts"


def refused(client: Insisting, path: str, **body: object) -> Refused:
    with pytest.raises(Refused) as no:
        client.post(path, **body)
    return no.value


def test_names_of_every_script_come_back_as_they_were(client: Insisting) -> None:
    """As the name of a run, a param, a tag, a metric, a file; lookalikes stay apart, and each is found by its name."""
    metrics = [{"key": name, "value": place, "timestamp": 1, "step": 0} for place, name in enumerate(NAMES)]
    pairs = [{"key": name, "value": name} for name in NAMES]
    run = client.new_run(1, NAMES[0])
    client.post("runs/log-batch", run_id=run, metrics=metrics, params=pairs, tags=pairs)
    data = client.get(f"runs/get?run_id={run}")["run"]["data"]
    assert {one["key"]: one["value"] for one in data["metrics"]} == {name: place for place, name in enumerate(NAMES)}
    assert {one["key"]: one["value"] for one in data["params"]} == {name: name for name in NAMES}
    assert {one["key"]: one["value"] for one in data["tags"]}.items() >= {name: name for name in NAMES}.items()
    for place, name in enumerate(NAMES):
        assert client.history(run, quote(name)) == [(0, place)]
        key = f'"{name}"' if "'" in name else f"`{name}`"
        found = client.post("runs/search", experiment_ids=["0"], filter=f"params.{key} = '{name}'") if "'" not in name else None
        assert found is None or [one["info"]["run_id"] for one in found["runs"]] == [run], name
        client.ask("PUT", f"{files_of(run)}/{quote(name)}.bin", name.encode(), BYTES)
    listed = {one["path"] for one in client.get(f"artifacts/list?run_id={run}")["files"]}
    assert listed == {f"{name}.bin" for name in NAMES}
    experiment = client.post("experiments/create", name=NAMES[1])["experiment_id"]
    assert client.get(f"experiments/get-by-name?experiment_name={quote(NAMES[1])}")["experiment"]["experiment_id"] == experiment


def test_half_a_character_is_refused(client: Insisting) -> None:
    """A lone surrogate is no text: 400, wherever it stands."""
    run = client.new_run(2)
    for body in (r'{"run_id": "RUN", "key": "\ud800", "value": "1"}', r'{"run_id": "RUN", "key": "k", "value": "a\udfff"}'):
        with pytest.raises(Refused) as no:
            client.ask("POST", f"{API}/runs/set-tag", body.replace("RUN", run).encode())
        assert no.value.status == 400


def test_a_tag_of_ten_megabytes_is_refused_by_the_name_of_its_field(client: Insisting) -> None:
    """Over every way in; the run has none of what came with it."""
    run, huge = client.new_run(3), "x" * 10_000_000
    assert "'value'" in str(refused(client, "runs/set-tag", run_id=run, key="k", value=huge))
    many = refused(client, "runs/log-batch", run_id=run, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": huge}])
    assert "'tags[1].value'" in str(many)
    assert "'tags" in str(refused(client, "runs/create", experiment_id="0", start_time=1, tags=[{"key": "c", "value": huge}]))
    tags = client.get(f"runs/get?run_id={run}")["run"]["data"]["tags"]
    assert {one["key"] for one in tags} == {"mlflow.runName"}


def test_a_run_of_twelve_thousand_metrics(client: Insisting) -> None:
    """Logged, sent again, read and found; to log into it costs what it cost at first."""
    run = client.new_run(4, "wide")
    spent = []
    for start in range(0, 12_000, 1000):
        points = [{"key": f"layer{number}/weight", "value": number, "timestamp": 1, "step": 0} for number in range(start, start + 1000)]
        for _ in range(2):
            began = time.perf_counter()
            client.post("runs/log-batch", run_id=run, metrics=points)
            spent.append(time.perf_counter() - began)
    found = client.get(f"runs/get?run_id={run}")["run"]["data"]["metrics"]
    assert {one["key"]: one["value"] for one in found} == {f"layer{number}/weight": number for number in range(12_000)}
    wide = client.post("runs/search", experiment_ids=["0"], filter="metrics.`layer11999/weight` > 11998")["runs"]
    assert [len(one["data"]["metrics"]) for one in wide] == [12_000]
    assert sorted(spent[1::2])[6] < 2 * sorted(spent[0::2])[6], "what is sent again costs more than at first"
    assert sorted(spent[-8:])[4] < 5 * sorted(spent[:8])[4], "logging slows down with what is there"


def test_a_batch_that_comes_again_half_changed(client: Insisting) -> None:
    """A param with another value refuses the whole batch; metrics are points of their own, those that are there stay once."""
    run = client.new_run(5)
    first = [{"key": "a", "value": step, "timestamp": 1, "step": step} for step in range(10)]
    client.post("runs/log-batch", run_id=run, metrics=first, params=[{"key": "p", "value": "1"}, {"key": "q", "value": "1"}])
    changed = [{**point, "value": point["value"] + (point["step"] % 2) / 2} for point in first]
    more = [{"key": "b", "value": 1, "timestamp": 1, "step": 0}]
    params = [{"key": "p", "value": "1"}, {"key": "q", "value": "2"}, {"key": "r", "value": "3"}]
    no = refused(client, "runs/log-batch", run_id=run, metrics=changed + more, params=params, tags=[{"key": "t", "value": "1"}])
    assert no.code == "INVALID_PARAMETER_VALUE"
    data = client.get(f"runs/get?run_id={run}")["run"]["data"]
    assert ({one["key"] for one in data["metrics"]}, {one["key"] for one in data["params"]}) == ({"a"}, {"p", "q"})
    assert client.history(run, "a") == [(step, step) for step in range(10)]
    client.post("runs/log-batch", run_id=run, metrics=changed + first)
    assert client.history(run, "a") == sorted({(one["step"], float(one["value"])) for one in changed + first})


def test_values_of_every_kind_come_back_bit_by_bit(client: Insisting) -> None:
    """And a point of them that is sent again, alone and among a hundred keys, is one point."""
    run, values = client.new_run(6), ["NaN", "Infinity", "-Infinity", -0.0, 5e-324, 1.7976931348623157e308]
    points = [{"key": "v", "value": value, "timestamp": place, "step": 2**63 - 1 - place} for place, value in enumerate(values)]
    others = [{"key": f"k{number}", "value": "NaN", "timestamp": 0, "step": 0} for number in range(120)]
    for _ in range(3):
        client.post("runs/log-batch", run_id=run, metrics=points + others)
    got = client.get(f"metrics/get-history?run_id={run}&metric_key=v")["metrics"]
    assert [float(one["value"]).hex() for one in reversed(got)] == [float(value).hex() for value in values]
    assert [int(one["step"]) for one in reversed(got)] == [point["step"] for point in points]
    assert len(client.get(f"metrics/get-history?run_id={run}&metric_key=k7")["metrics"]) == 1


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Process]:
    """A server as a process of its own."""
    with as_process(tmp_path) as process:
        yield process


def left_open(pid: int) -> int:
    """Files and sockets that a process has open, once what ends has ended."""
    return psutil.Process(pid).num_fds()


def settles(count: Callable[[], int], most: int) -> bool:
    """Whether there are only so many within ten seconds: the server hears of the last client that left in its own time."""
    until = time.monotonic() + 10
    while count() > most and time.monotonic() < until:
        time.sleep(0.1)
    return count() <= most


def connected(site: Process, head: str, body: bytes, length: int) -> socket.socket:
    host, _, port = site.url.partition("://")[2].partition(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    said = f"{head} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {site.token}\r\nContent-Length: {length}\r\n"
    client.sendall(f"{said}Content-Type: application/json\r\n\r\n".encode() + body)
    return client


def test_clients_that_vanish_in_the_middle_leave_nothing(site: Process, tmp_path: Path) -> None:
    """In the middle of an upload, of a body of JSON, and of an answer: no half file, nothing open, nobody held up."""
    client = Insisting(site.url, site.token)
    run, chance = client.new_run(1), random.Random(5)
    content = os.urandom(8 << 20)
    client.ask("PUT", f"{files_of(run)}/whole.bin", content, BYTES)
    client.post("runs/set-tag", run_id=run, key="k", value="v")
    most = left_open(site.process.pid) + 40  # connections of threads that had nothing to do yet
    batch = json.dumps({"run_id": run, "metrics": [{"key": "m", "value": 1, "timestamp": 1}] * 900}).encode()
    for number in range(40):
        sent = chance.randrange(len(content))
        connected(site, f"PUT {files_of(run)}/cut{number}.bin", content[:sent], len(content)).close()
        connected(site, f"POST {API}/runs/log-batch", batch[: chance.randrange(len(batch))], len(batch)).close()
        taker = connected(site, f"GET {files_of(run)}/whole.bin", b"", 0)
        taker.recv(chance.randrange(1, 100_000))
        taker.close()
    began = time.monotonic()
    assert [one["path"] for one in client.get(f"artifacts/list?run_id={run}")["files"]] == ["whole.bin"]
    assert client.ask("GET", f"{files_of(run)}/whole.bin", None) == content
    assert time.monotonic() - began < 5
    assert client.history(run, "m") == []
    assert settles(lambda: left_open(site.process.pid), most)
    client.close()
    incoming = tmp_path / ".bedplate" / "store" / "blobs" / "incoming"
    assert settles(lambda: len(list(incoming.iterdir())), 0)


@pytest.mark.slow
def test_rx13_five_hundred_slow_sockets_and_two_hundred_requests(site: Process) -> None:
    """A byte a second of heads and of bodies: each is closed within 30 s, and 200 requests meanwhile all pass within a second."""
    client = Insisting(site.url, site.token)
    run = client.new_run(1)
    host, _, port = site.url.partition("://")[2].partition(":")
    slow = [socket.create_connection((host, int(port))) for _ in range(500)]
    begun, closed = time.monotonic(), dict.fromkeys(slow, 0.0)
    head = f"POST {API}/runs/search HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {site.token}\r\nContent-Length: 5000\r\n\r\n"
    for number, one in enumerate(slow):
        one.sendall(head.encode() if number % 2 else b"GET /heal")
        one.setblocking(False)

    def drip() -> None:
        while not all(closed.values()) and time.monotonic() - begun < 40:
            for one in [one for one, at in closed.items() if not at]:
                try:
                    one.send(b"x")
                    if one.recv(4096):
                        closed[one] = time.monotonic() - begun
                except BlockingIOError:
                    pass
                except OSError:
                    closed[one] = time.monotonic() - begun
            time.sleep(1)

    dripping = threading.Thread(target=drip)
    dripping.start()
    spent = []
    for step in range(200):
        began = time.perf_counter()
        client.post("runs/log-metric", run_id=run, key="m", value=step, timestamp=1, step=step)
        spent.append(time.perf_counter() - began)
    dripping.join()
    for one in slow:
        one.close()
    assert (client.tries, client.lost, client.busy) == (201, 0, {})
    assert max(spent) < 1
    assert max(closed.values()) <= 30
    assert min(closed.values()) > 0
    client.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB, or a skip that says why there is none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.bad_input("a full disk")
def test_a_disk_that_fills_up_under_load_and_has_room_again(small_disk: Path) -> None:
    """What is acknowledged is there, what is not is answered 503, reads go on, and with room again the same server goes on by itself."""
    with as_process(small_disk) as site:
        client = Insisting(site.url, site.token, patience_s=0.5)
        run = client.new_run(1)
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 4096):
                pass
        kept, failed = 0, 0
        while failed < 3:
            points = [{"key": f"m{kept}", "value": step, "timestamp": 1, "step": step} for step in range(500)]
            try:
                client.post("runs/log-batch", run_id=run, metrics=points)
                kept += 1
            except TimeoutError:
                failed += 1
        with pytest.raises(TimeoutError):
            client.ask("PUT", f"{files_of(run)}/a.bin", b"y" * 1_000_000, BYTES)
        assert set(client.busy) == {503}
        assert client.history(run, f"m{kept - 1}") == [(step, step) for step in range(500)] if kept else True
        filler.unlink()
        began = time.monotonic()
        patient = Insisting(site.url, site.token)
        patient.post("runs/log-metric", run_id=run, key="after", value=1, timestamp=1)
        patient.ask("PUT", f"{files_of(run)}/a.bin", b"y" * 1_000_000, BYTES)
        assert time.monotonic() - began < 5
        found = {one["key"] for one in patient.get(f"runs/get?run_id={run}")["run"]["data"]["metrics"]}
        assert found == {"after", *(f"m{number}" for number in range(kept))}
        assert patient.ask("GET", f"{files_of(run)}/a.bin", None) == b"y" * 1_000_000
        client.close()
        patient.close()


def test_a_clock_that_jumps_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Two days on, then a month back: tokens stay good, runs are made once each, and an answer that was lost is told again."""
    clock = tmp_path / "now"
    clock.write_text("2026-01-10T00:00:00Z")
    with as_process(tmp_path, BEDPLATE_CLOCK=str(clock)) as site:
        client = Insisting(site.url, site.token)
        for jump in ("2026-01-10T00:00:01Z", "2026-01-12T00:00:00Z", "2025-12-12T00:00:00Z", "2026-01-10T00:00:02Z"):
            clock.write_text(jump)
            runs = [client.new_run(number, jump) for number in range(3)]
            assert len(set(runs)) == 3
            connected(site, f"POST {API}/runs/create", body := lost(jump), len(body)).close()
            until = time.monotonic() + 5
            while not client.named(f"lost {jump}") and time.monotonic() < until:
                time.sleep(0.02)
            client.ask("POST", f"{API}/runs/create", body)
            assert len(client.named(f"lost {jump}")) == 1
        assert len(client.post("runs/search", experiment_ids=["0"], max_results=100)["runs"]) == 16
        client.close()


def lost(jump: str) -> bytes:
    return json.dumps({"experiment_id": "0", "start_time": 7, "run_name": f"lost {jump}"}).encode()


@pytest.mark.slow
def test_a_client_that_is_years_old(site: Process) -> None:
    """MLflow 1.30, of 2022: runs, files and the registry, which it asks under another path."""
    said = Client("mlflow-1").says("years_old", site.url, site.token)
    assert said == dict.fromkeys(said, True)
    assert len(said) == 11
