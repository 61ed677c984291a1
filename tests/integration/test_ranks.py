"""Training on several processes (`workers=2`, gloo on loopback) that are killed, stopped, frozen and starved: F36, F38, F39 and F42.

The project reads its samples through the `Samples` view and counts, in a buffer of the model, how often each was seen by any rank: a
sample lost or doubled shows in the weights' digest, and in the counts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import bedplate

pytest.importorskip("torch")
pytestmark = pytest.mark.slow
SAMPLES, EPOCHS = 48, 24
PROJECT = """
import os
import signal
import time
from pathlib import Path

import polars as pl
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from bedplate import Context, Files, Model, Project, Samples

nets = Project("nets")


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(2, 1)
        self.register_buffer("seen", torch.zeros(48, dtype=torch.int64))

    def forward(self, x):
        return self.body(x)


@nets.ingest
def texts(source: Files = Files("texts/*.txt")) -> Files:
    return source


@nets.train(workers=2, on_nan="stop")
def net(context: Context, texts: Samples, epochs: int = 24, pause: float = 0.02, trouble: str = "") -> Model:
    Path(f"pids/{context.rank}").write_text(str(os.getpid()))
    torch.manual_seed(context.seed)
    model, epoch, done, at = Net(), 0, 0, 0
    steps = torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)
    if (kept := context.checkpoints.latest()) is not None:
        state = torch.load(kept[1] / "state.pt", weights_only=True)
        model.load_state_dict(state["model"])
        steps.load_state_dict(state["steps"])
        at, epoch, done = kept[0], state["epoch"], state["done"]
    ddp = DistributedDataParallel(model)

    def save():
        state = {"model": model.state_dict(), "steps": steps.state_dict(), "epoch": epoch, "done": done}
        context.checkpoints.save(at, lambda folder: torch.save(state, folder / "state.pt"))
        context.checkpoints.wait()

    while epoch < epochs:
        order = list(texts.order(seed=context.seed, epoch=epoch, rank=context.rank, world=context.world, done=done, even=True))
        share = 8 // context.world
        for first in range(0, len(order), share):
            mine = order[first : first + share]
            x = torch.tensor([[float(part) for part in texts[index].text().split()] for index in mine])
            steps.zero_grad()
            loss = nn.functional.mse_loss(ddp(x), x.sum(1, keepdim=True))
            loss.backward()
            steps.step()
            counted = torch.zeros(48, dtype=torch.int64)
            counted[mine] = 1
            torch.distributed.all_reduce(counted)
            model.seen += counted
            at, done = at + 1, done + 8
            if done >= 48:
                epoch, done = epoch + 1, 0
            context.metric("loss", float("nan") if trouble == "nan" and at == 7 else loss.item(), at_step=at)
            if trouble == "code" and context.rank == 1:
                raise ValueError("a sample is broken")
            if trouble == "weak" and context.rank == 1 and at > 6:
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(pause)
            if at % 3 == 0 or context.stopping():
                save()
            if context.stopping():
                raise SystemExit
        done = 0
    return Model(model, example=pl.DataFrame({"a": [0.1], "b": [0.2]}))
"""


class Running:
    """A `bedplate run` whose lines are read as they come: `at` is the newest training step, `again` what was said of restarts."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.at = 0
        self.again: list[str] = []
        self.failed = ""
        environ = {**os.environ, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "bedplate", "run", "--json", *options]
        self.process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environ)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said["kind"] == "step.metric" and said["text"] == "loss":
                self.at = said["data"]["at"]
            elif said["kind"] == "step.tag":
                self.again.append(said["data"]["value"])
            elif said["kind"] == "step.failed":
                self.failed = said["text"]

    def until(self, reached: Callable[[], bool]) -> bool:
        """Wait for it; whether it came before the run ended."""
        while self.process.poll() is None:
            if reached():
                return True
            time.sleep(0.01)
        return False

    def goes_on(self, more: int, gone: set[int]) -> bool:
        """Wait until new ranks have come so many steps further; whether they did."""
        start = self.at
        return self.until(lambda: self.at != start and not gone & set(self.pids())) and self.until(lambda: self.at >= start + more)

    def pids(self) -> list[int]:
        return [int((self.folder / "pids" / str(rank)).read_text() or 0) for rank in (0, 1)]

    def end(self, seconds: float = 300) -> int:
        code = self.process.wait(seconds)
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def project(folder: Path, toml: str = "") -> Path:
    (folder / "texts").mkdir()
    (folder / "pids").mkdir()
    for at in range(SAMPLES):
        (folder / "texts" / f"{at:02d}.txt").write_text(f"{at / SAMPLES} {(at * 7 % SAMPLES) / SAMPLES}")
    (folder / "nets.py").write_text(PROJECT)
    (folder / "bedplate.toml").write_text(toml)
    return folder


def made(folder: Path) -> tuple[str, list[int]]:
    """The digest of the model's weights, and how often each sample was seen."""
    workspace = bedplate.open(folder)
    version = workspace.catalog.artifacts.versions("net")[0]
    return version.digest, workspace.store.load(version, "model").native.seen.tolist()


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory) -> str:
    """The digest of the weights where nothing happens."""
    folder = project(tmp_path_factory.mktemp("calm"))
    run = Running(folder)
    assert run.end() == 0
    digest, seen = made(folder)
    assert seen == [EPOCHS] * SAMPLES
    assert run.again == []
    return digest


def test_twenty_kills_at_random_moments_and_the_weights_are_equal_bit_for_bit(tmp_path, never_stopped):
    """SIGKILL of a rank, or of everything: the weights are those of a run that was never stopped, every sample seen once an epoch (F36)."""
    folder, rng, kills, runs = project(tmp_path), random.Random(20), 0, 0
    run = Running(folder)
    known: set[int] = set()
    while kills < 20:
        if not run.goes_on(rng.randint(4, 6), known):
            break
        time.sleep(rng.random() * 0.1)
        known.update(run.pids())
        if kills % 5 == 4:
            os.kill(run.process.pid, signal.SIGKILL)
            run.end()
            run, runs = Running(folder), runs + 1
        else:
            os.kill(rng.choice(run.pids()), signal.SIGKILL)
        kills += 1
    assert run.end() == 0
    assert kills == 20, f"{kills} kills"
    assert runs == 4
    assert made(folder) == (never_stopped, [EPOCHS] * SAMPLES)


def test_a_frozen_rank_is_named_and_the_others_do_not_wait_for_ever(tmp_path, never_stopped):
    """SIGSTOP of rank 1: found by its silence within the timeout, begun again, equal in the end (F39)."""
    run = Running(project(tmp_path, 'rank_timeout = "6 s"\n'))
    assert run.until(lambda: run.at >= 7)
    began = time.monotonic()
    os.kill(run.pids()[1], signal.SIGSTOP)
    assert run.until(lambda: bool(run.again))
    assert time.monotonic() - began < 30
    assert run.end() == 0
    assert run.again[0].startswith("rank 1 of 2 gave no sign of life for 6 s; again from the checkpoint of step")
    assert made(tmp_path) == (never_stopped, [EPOCHS] * SAMPLES)


def test_a_rank_that_always_dies_leaves_the_rest_to_go_on_without_it(tmp_path):
    """On one rank fewer, from the same checkpoint, with every sample seen once an epoch all the same."""
    run = Running(project(tmp_path), "--set", "net.trouble=weak")
    assert run.end() == 0
    assert run.again[-1].endswith("on 1 rank")
    assert all("rank 1 of 2 was killed by SIGKILL" in line for line in run.again)
    assert made(tmp_path)[1] == [EPOCHS] * SAMPLES


def test_asked_to_stop_it_saves_within_the_grace_and_goes_on_there(tmp_path, never_stopped):
    """SIGTERM to the run: a checkpoint of the very step, exit code 130, and no step is lost in the next run (F38)."""
    folder = project(tmp_path)
    run = Running(folder)
    assert run.until(lambda: run.at >= 8)
    run.process.send_signal(signal.SIGTERM)
    assert run.end(30) == 130
    kept = max(int(path.name) for path in (folder / ".bedplate").rglob("checkpoints/*/*") if path.name.isdigit())
    assert kept >= run.at
    again = Running(folder)
    assert again.end() == 0
    assert made(folder) == (never_stopped, [EPOCHS] * SAMPLES)


def test_an_error_of_one_rank_and_a_loss_that_is_no_number_end_the_step(tmp_path):
    """Named with the rank; not begun again, as it would only fail again; what was kept before stays (F42)."""
    folder = project(tmp_path)
    run = Running(folder, "--set", "net.trouble=code")
    assert run.end() == 1
    assert "rank 1 of 2: ValueError: a sample is broken" in run.failed
    run = Running(folder, "--set", "net.trouble=nan")
    assert run.end() == 1
    assert "loss is nan at step 7: training is stopped" in run.failed
    assert any(path.name == f"{6:012d}" for path in (folder / ".bedplate").rglob("checkpoints/*/*"))
    assert bedplate.open(folder).catalog.artifacts.head("net") is None
