"""Processes that predict, really killed: by signals under traffic, by the machine when memory is out; stopped; never coming up again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crew_process import EATS

from bedplate.planner.batching.records import Rules
from bedplate.stages.deploy.batcher import Batcher, Died
from bedplate.stages.deploy.crew import Crew

MEMBER = Path(__file__).with_name("crew_process.py")
MEMORY = Path("/sys/fs/cgroup/memory")


def rows(*values: float) -> Any:
    return np.array(values, dtype=np.float64).reshape(-1, 1)


def in_crew(work: Callable[[Crew, Batcher], Coroutine[Any, Any, None]], further: Callable[[], list[str]] = list, **options: Any) -> None:
    """A crew of one on a loop of its own; `further` are words that its processes are started with."""
    crew = Crew(
        "late@7", lambda socket, memory: [sys.executable, str(MEMBER), *further(), "--socket", str(socket), "--memory", str(memory)], 1,
        timer=time.perf_counter, **options,
    )  # fmt: skip
    crew.open()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        crew.attach(loop)
        try:
            await work(crew, Batcher(crew, Rules(), loop=loop, timer=time.perf_counter))
        finally:
            crew.close()

    asyncio.run(main())


async def again(batcher: Batcher) -> list[float]:
    """What the next process answers, however long it takes to come up."""
    while True:
        with suppress(Died):
            made: list[float] = (await batcher.ask(rows(4))).tolist()
            return made


def test_a_stopped_process_is_ended_and_told_as_one_that_hung() -> None:
    """It is there, and answers nothing: after its time it is killed, and another answers."""

    async def work(crew: Crew, batcher: Batcher) -> None:
        os.kill(crew.pids[0], signal.SIGSTOP)
        with pytest.raises(Died) as died:
            await batcher.ask(rows(1))
        assert "took longer than 1 s" in died.value.why
        assert await again(batcher) == [8.0]
        (death,) = crew.news
        assert (death.had_work, death.again_s) == (True, 0.0)

    in_crew(work, patience_s=1.0)


def test_a_batch_is_not_kept_waiting_for_a_process_that_never_comes_up() -> None:
    """The one that is started after a death hangs before it is ready: who asks meanwhile hears of it after the same time."""
    starts: list[int] = []

    def further() -> list[str]:
        starts.append(1)
        return ["--sleeps"] if len(starts) > 1 else []

    async def work(crew: Crew, batcher: Batcher) -> None:
        os.kill(crew.pids[0], signal.SIGKILL)
        while not crew.deaths:
            await asyncio.sleep(0.01)
        with pytest.raises(Died) as died:
            await batcher.ask(rows(1))
        assert died.value.what == "no process for late@7 was free"

    in_crew(work, further, waits_s=0.5)


@pytest.mark.skipif(not os.access(MEMORY, os.W_OK), reason="needs to make a cgroup with a limit of memory")
def test_one_that_the_machine_kills_for_its_memory_is_told_so() -> None:
    """The kernel's own kill: its batch hears of memory, the next is answered by another process."""
    group = MEMORY / f"bedplate-test-{os.getpid()}"

    async def work(crew: Crew, batcher: Batcher) -> None:
        (group / "cgroup.procs").write_text(str(crew.pids[0]))
        with pytest.raises(Died) as died:
            await batcher.ask(rows(EATS))
        assert "out of memory" in died.value.why
        assert await again(batcher) == [8.0]

    group.mkdir()
    try:
        (group / "memory.limit_in_bytes").write_text(str(200_000_000))
        in_crew(work)
    finally:
        group.rmdir()


PROJECT = """
import warnings

import numpy as np
from sklearn.neural_network import MLPRegressor

from bedplate import Model, Project

work = Project("work")


def _net() -> Model:
    values = np.random.default_rng(0).normal(size=(200, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPRegressor(hidden_layer_sizes=(64,), max_iter=5, random_state=0).fit(values, values.sum(axis=1))
    return Model(net, example=[{"a": float(a), "b": float(b)} for a, b in values[:50]])


@work.train
def one() -> Model:
    return _net()


@work.train
def other() -> Model:
    return _net()
"""


class Served:
    """A server whose two models have a process each."""

    def __init__(self, folder: Path) -> None:
        (folder / "work.py").write_text(PROJECT)
        self.folder = folder
        self.environ = {**os.environ, "BEDPLATE_LOOP_LIMIT": "0 s"}
        subprocess.run([sys.executable, "-m", "bedplate", "run"], cwd=folder, check=True, capture_output=True, env=self.environ)
        words = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json"]
        self.process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True, env=self.environ)
        assert self.process.stdout is not None
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.said: list[str] = []
        self.reader = threading.Thread(target=lambda: self.said.extend(self.process.stdout or ()), daemon=True)
        self.reader.start()

    def asks(self, model: str) -> int:
        body = {"inputs": [{"name": "rows", "shape": [2, 2], "datatype": "FP64", "data": [1, 2, 3, 4]}]}
        sent = urllib.request.Request(
            f"{self.url}/v2/models/{model}/infer", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def member(self, model: str) -> int:
        """The process that predicts for a model; 0 while there is none."""
        for path in Path(f"/proc/{self.process.pid}/task").glob("*/children"):
            for pid in path.read_text().split():
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if b"bedplate.interfaces.worker.member" in words and f"{model}@1".encode() in words:
                    return int(pid)
        return 0

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    one = Served(tmp_path)
    yield one
    one.stop()


def test_kills_under_traffic_hurt_what_was_in_flight_and_nothing_else(served: Served) -> None:
    """Two models under eight clients; one's process is killed, then crashes: the other never fails, the deaths are counted and told."""
    over = threading.Event()
    got: dict[str, list[int]] = {"one": [], "other": []}

    def client(model: str) -> None:
        while not over.is_set():
            got[model].append(served.asks(model))

    clients = [threading.Thread(target=client, args=(model,)) for model in got for _ in range(4)]
    for thread in clients:
        thread.start()
    kills = (signal.SIGKILL, signal.SIGSEGV)
    for how in kills:
        before = served.member("one")
        os.kill(before, how)
        until = time.monotonic() + 60
        while served.member("one") in (0, before) and time.monotonic() < until:
            time.sleep(0.05)
        answered = got["one"].count(200)
        while got["one"].count(200) < answered + 20 and time.monotonic() < until:
            time.sleep(0.05)
    over.set()
    for thread in clients:
        thread.join()
    assert set(got["other"]) == {200}
    assert set(got["one"]) <= {200, 503}
    assert got["one"].count(503) <= 4 * len(kills)  # those four that were asked when it died
    with urllib.request.urlopen(f"{served.url}/metrics", timeout=30) as answer:
        assert 'bedplate_model_process_deaths_total{model="one"} 2.0' in answer.read().decode()
    told = [event["data"]["how"] for event in map(json.loads, served.said) if event["kind"] == "model.process_died"]
    assert [how.split(" (")[0] for how in told] == ["signal 9", "signal 11"]
