"""A month of tills in minutes, and nobody types: `python replay.py [week]`. The clock is a file that this program writes.

It starts what an operator would: `bedplate run --due --loop` and `bedplate serve`. Then it is the world: by day households come to the
tills and the service is asked, at night files arrive and the truth of three days ago is known. Two files are wrong, and two times the loop
is killed as by a power cut: in the middle of a training, and in the middle of a commit. What became of it is read from the record.
"""

from __future__ import annotations

import http.client
import json
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import polars as pl
from nights import show
from retail import OPENING
from rich.console import Console
from world import World

import bedplate

HERE = Path(__file__).parent
BEDPLATE = [sys.executable, "-m", "bedplate"]
PATIENCE_S = 120.0
ASKED = ("household", "spent", "items", "saved")


class Month(NamedTuple):
    """How many nights, and on which of them (from 0) what goes wrong. The files of `broken` and `phantom` are put right a night later."""

    nights: int
    killed_training: int
    broken: int
    killed_commit: int
    phantom: int


MONTH = Month(nights=34, killed_training=6, broken=10, killed_commit=14, phantom=19)
WEEK = Month(nights=9, killed_training=1, broken=2, killed_commit=4, phantom=5)
"""The least that has it all: what was trained on the phantoms is judged in the last night."""


class Clock:
    """What time it is for every process of the project: the file that the setting `clock` names."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def set(self, at: datetime) -> None:
        """It is `at` (UTC) now, and time goes on from there."""
        fresh = self._path.with_suffix(".new")
        fresh.write_text(f"{at:%Y-%m-%dT%H:%M:%S}Z\n")
        fresh.rename(self._path)


class Loop:
    """`bedplate run --due --loop`, watched line by line; `hear` is told of each event until it says that it has done what it came for."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder, self._log = folder, log
        self._hear: Callable[[dict[str, Any]], bool] | None = None
        self.kills = 0
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            [*BEDPLATE, "run", "--due", "--loop", "--json"], cwd=self._folder, stdout=subprocess.PIPE, text=True
        )
        self._reader = threading.Thread(target=self._read, args=(self.process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        with self._log.open("a") as log:
            for line in process.stdout or ():
                log.write(line)
                if self._hear is not None and self._hear(json.loads(line)):
                    self._hear = None

    def on(self, hear: Callable[[dict[str, Any]], bool]) -> None:
        """From now on, tell `hear`."""
        self._hear = hear

    def kill(self) -> None:
        """As a power cut would: no handler runs, nothing is written."""
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def again(self) -> None:
        """What systemd does with `Restart=always`."""
        self._reader.join()
        self._start()

    def stop(self) -> None:
        """Ask it to end."""
        self.process.terminate()
        self.process.wait()


class Tills:
    """Asks the service about each basket as it is rung up, and keeps what it needs to say later what came of it."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        self._said: dict[datetime, list[tuple[str, bool]]] = {}
        self.seconds: list[float] = []

    def ask(self, day: datetime, baskets: list[dict[str, Any]]) -> None:
        """Raises RuntimeError where the service refuses one."""
        for basket in baskets:
            body = json.dumps({"time": basket["time"].isoformat(), **{name: basket[name] for name in ASKED}})
            begun = time.perf_counter()
            self._line.request("POST", "/will_visit", body, {"content-type": "application/json"})
            answer = self._line.getresponse()
            text = answer.read()
            if answer.status != http.HTTPStatus.OK:
                raise RuntimeError(f"the service answered {answer.status}: {text.decode(errors='replace')}")
            self.seconds.append(time.perf_counter() - begun)
            self._said.setdefault(day, []).append((json.loads(text)["prediction_id"], basket["back"]))
        self._line.close()  # until the next day the server may have hung up

    def truth(self, day: datetime, path: Path) -> bool:
        """Write what came of a day's baskets; False where nobody asked about any."""
        if day not in self._said:
            return False
        ids, back = zip(*self._said.pop(day), strict=True)
        pl.DataFrame({"prediction_id": ids, "label": back}).write_parquet(path)
        return True


class Replay:
    """A month in a folder that holds the project."""

    def __init__(self, folder: Path, month: Month, say: Callable[[str], None]) -> None:
        self.month, self._say, self._folder = month, say, folder
        self._world = World(folder / "in")
        self._clock = Clock(folder / "clock")
        self._clock.set(OPENING)
        self.project = bedplate.open(folder)
        self._state = self.project.config.state
        self._state.mkdir(exist_ok=True)
        (self._state / "month.json").write_text(json.dumps(month._asdict()))

    def run(self) -> Tills:
        """All days and nights; what the service was asked."""
        self._night_falls(0)
        self.loop = Loop(self._folder, self._state / "loop.jsonl")
        serve = subprocess.Popen([*BEDPLATE, "serve", "--port", "0", "--json"], cwd=self._folder, stdout=subprocess.PIPE, text=True)
        try:
            tills = Tills(json.loads(serve.stdout.readline())["url"] if serve.stdout else "")
            for night in range(self.month.nights):
                self._day(night, tills)
                self._night(night, tills)
        finally:
            self.loop.stop()
            serve.terminate()
            serve.wait()
        return tills

    def _day(self, night: int, tills: Tills) -> None:
        """The baskets before a night, hour by hour, once a model is live."""
        if "production" not in self.project.status().models.get("visit", {}):
            return
        self._served()
        day = OPENING + timedelta(days=night)
        for hour, baskets in self._world.by_hour(day).items():
            self._clock.set(max(hour, hour.replace(hour=7)))
            tills.ask(day, baskets)

    def _night(self, night: int, tills: Tills) -> None:
        """Half past midnight the file, at two the training, at six the truth, the judgement and the watch."""
        if night:
            self._night_falls(night)
        self._quiet()
        killed = {self.month.killed_training: self._killed_training, self.month.killed_commit: self._killed_commit}.get(night)
        over = killed() if killed else None
        self._at(night, hours=2)
        if over is not None:
            self._wait("the kill", over.is_set)
            self.loop.again()
            self._at(night, hours=2, minutes=2)  # the lease of the dead is over
        self._quiet()
        truth = self._state / "truth.parquet"
        if tills.truth(OPENING + timedelta(days=night - 3), truth):
            self.project.labels(truth)
        self._at(night, hours=6)
        self._quiet()
        self._say(f"{OPENING + timedelta(days=night + 1):%a %d %b}")

    def _night_falls(self, night: int) -> None:
        """Half past midnight: the day's file, and what the last one should have been."""
        day, month = OPENING + timedelta(days=night), self.month
        self._at(night, minutes=30)
        if night - 1 in (month.broken, month.phantom):
            self._world.arrives(day - timedelta(days=1), sent=day + timedelta(days=1, minutes=29))
        self._world.arrives(day, broken=night == month.broken, phantom=night == month.phantom)

    def _at(self, night: int, **after_midnight: int) -> None:
        self._clock.set(OPENING + timedelta(days=night + 1, **after_midnight))

    def _killed_training(self) -> threading.Event:
        """A tenth of a second into the training, the loop is killed: trees have grown, nothing is written."""
        return self._when_training(lambda: time.sleep(0.1))

    def _killed_commit(self) -> threading.Event:
        """The model's bytes are written, its transaction waits for the database (which somebody holds), and the loop is killed."""
        staged = self._state / "store" / "staged"

        def hold() -> None:
            with closing(sqlite3.connect(self._state / "catalog.db", timeout=30, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                self._wait("the model's bytes", lambda: any(staged.glob("a-*.json")))
                self.loop.process.kill()

        return self._when_training(hold)

    def _when_training(self, first: Callable[[], None]) -> threading.Event:
        """Kill the loop when it has begun to train, and `first` has happened; the event says that it is done."""
        over = threading.Event()

        def kill() -> None:
            first()
            self.loop.kill()
            over.set()

        def hear(event: dict[str, Any]) -> bool:
            begun = event["kind"] == "step.started" and event["step"] == "visit"
            if begun:
                threading.Thread(target=kill, daemon=True).start()
            return begun

        self.loop.on(hear)
        return over

    def _quiet(self) -> None:
        """Wait until nothing is due, and then nothing runs."""
        due, kept = self.project.due(), self.project.catalog.due
        self._wait("the loop", lambda: all(one.action != "run" for one in due.plan()) and not kept.running())

    def _served(self) -> None:
        """Wait until the server holds what is live; it takes that up within a second."""
        status = self.project.status()
        live = {"visit": status.models["visit"]["production"], **{name: status.artifacts[name].number for name in ("habit", "lately")}}
        self._wait("the server", lambda: any(one.models == live for one in self.project.status().services))

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not done():
            if time.monotonic() > until:
                raise RuntimeError(f"{what} took longer than {PATIENCE_S:.0f} s")
            time.sleep(0.05)


def main() -> None:
    """Replay a month in this folder, from nothing, and show what became of it."""
    out = Console(highlight=False)
    for name in (".bedplate", "in", "clock"):
        path = HERE / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    month = WEEK if sys.argv[1:] == ["week"] else MONTH
    begun = time.perf_counter()
    with out.status("opening") as status:
        replay = Replay(HERE, month, lambda night: status.update(f"{night}, {time.perf_counter() - begun:.0f} s"))
        tills = replay.run()
    show(replay.project, out)
    took = sorted(tills.seconds)
    out.print(f"{len(took):,} baskets asked about, p50 {took[len(took) // 2] * 1e3:.1f} ms; {replay.loop.kills} kills; "
              f"all of it in {time.perf_counter() - begun:.0f} s")  # fmt: skip


if __name__ == "__main__":
    main()
