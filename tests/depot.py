"""The project `parcels` with its server: its model is good, then trained on a bad file, and promoted all the same. Pages show it."""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from trackers import Tracker

PROJECT = Path(__file__).parent / "journey" / "projects" / "parcels.py"
KINDS = ("letter", "parcel", "pallet")
PATIENCE_S = 30.0


class Depot:
    """A folder with the project, two good days delivered and the first model in production, and `bedplate up --serve` over it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir()
        shutil.copy(PROJECT, folder)
        (folder / "bedplate.toml").write_text('guard = "0 s"\n')  # what a person promoted stays until a person moves it
        (folder / "trusted.csv").write_text(a_day(99))
        for day in (1, 2):
            self.delivers(day)
        self.types("run")
        self.server = Tracker(folder, "--serve")
        self._drawn = random.Random(7)

    def delivers(self, day: int, hours_as: float = 1.0) -> None:
        """A file of another day; `hours_as` 60 is the mistake of whoever writes minutes."""
        (self.folder / "data" / f"day_{day}.csv").write_text(a_day(day, hours_as))

    def types(self, *words: str, code: int = 0) -> None:
        """Run `bedplate` with these words in the project's folder."""
        done = subprocess.run([sys.executable, "-m", "bedplate", *words], cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == code, f"bedplate {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"

    def goes_bad(self) -> None:
        """A file in minutes comes; the check stops the model that is trained on it, and somebody promotes it by hand."""
        self.delivers(3, 60.0)
        self.types("run", code=6)
        self.types("promote", "transit@2", "--reason", "the newest is the best")
        self.waits_for("transit@2")

    def asks(self, count: int) -> tuple[int, str]:
        """So many requests for a prediction: how many were answered, and by which version the last one was."""
        answered, by = 0, ""
        for _ in range(count):
            body = {"distance_km": self._drawn.uniform(5, 900), "weight_kg": self._drawn.uniform(0.1, 20)}
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.server.token}"}
            request = urllib.request.Request(f"{self.server.url}/services/arrives_in", json.dumps(body).encode(), headers)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    answered, by = answered + 1, answer.headers["x-model-version"]
            except urllib.error.HTTPError as error:
                error.close()
        return answered, by

    def waits_for(self, version: str) -> None:
        """Until the server answers with that version."""
        until = time.monotonic() + PATIENCE_S
        asked = urllib.request.Request(f"{self.server.url}/services/openapi.json", headers={"Authorization": f"Bearer {self.server.token}"})
        while time.monotonic() < until:
            with urllib.request.urlopen(asked, timeout=10) as answer:
                told = json.loads(answer.read())
            if told["paths"]["/arrives_in"]["post"]["x-bedplate"]["serving"].get("transit") == version:
                return
            time.sleep(0.1)
        raise AssertionError(f"the server never answered with {version}")

    def close(self) -> None:
        """End the server."""
        self.server.kill(signal.SIGTERM)


def a_day(number: int, hours_as: float = 1.0) -> str:
    """Deliveries of a day as CSV."""
    drawn, lines = random.Random(number), ["day,number,kind,distance_km,weight_kg,hours"]
    for row in range(200):
        far, heavy = drawn.uniform(5, 900), drawn.uniform(0.1, 20)
        hours = 6 + far * 0.08 + heavy * 0.4 + drawn.gauss(0, 1)
        lines.append(f"{number},{row},{drawn.choice(KINDS)},{far:.2f},{heavy:.2f},{hours * hours_as:.3f}")
    return "\n".join(lines) + "\n"
