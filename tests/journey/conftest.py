"""Journeys drive the installed command as a person would, each in a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROJECTS = Path(__file__).parent / "projects"
TIMEOUT_S = 120


class Running:
    """A server that answers: its process, and what it said when it began."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self._told = iter(process.stdout.readline, "")
        self.ready: dict[str, Any] = json.loads(next(self._told))
        self.url = str(self.ready["url"])

    def wait(self, kind: str) -> dict[str, Any]:
        """The next event of that kind; the server is killed where none comes within a minute."""
        late = threading.Timer(60, self.process.kill)
        late.start()
        try:
            return next(event for event in map(json.loads, self._told) if event.get("kind") == kind)
        finally:
            late.cancel()


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[Running]:
    """`bedplate serve` in a folder, at a free port, until the end of the block; it has to end well."""
    command = [sys.executable, "-m", "bedplate", "serve", "--port", "0", "--json", *words]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Running(process)
        finally:
            process.terminate()
            process.communicate(timeout=60)
    assert process.returncode == 0


def posted(url: str, body: Any) -> Any:
    """The answer to a request in JSON. Raises HTTPError."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)


class Person:
    """Somebody at a terminal in a project's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def types(self, *words: str, code: int | None = 0, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `bedplate` with these words; fails the test where the exit code is another (None: any)."""
        typed = [sys.executable, "-m", "bedplate", *words]
        done = subprocess.run(typed, cwd=self.folder, capture_output=True, text=True, timeout=TIMEOUT_S, env=env, check=False)
        if code is not None and done.returncode != code:
            pytest.fail(f"bedplate {' '.join(words)}: exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}")
        assert "Traceback" not in done.stdout + done.stderr or code == 1
        return done

    def reads(self, *words: str, code: int = 0) -> Any:
        """The JSON that the command prints with --json."""
        return json.loads(self.types(*words, "--json", code=code).stdout)

    def events(self, *words: str, code: int = 0) -> list[dict[str, Any]]:
        """What a run says, one object a line."""
        return [json.loads(line) for line in self.types(*words, "--json", code=code).stdout.splitlines()]

    def ran(self, *words: str, code: int = 0) -> dict[str, str]:
        """Step -> `done` or `skipped`, of a run."""
        said = self.events("run", *words, code=code)
        return {e["step"]: e["kind"].removeprefix("step.") for e in said if e.get("kind") in ("step.done", "step.skipped", "step.failed")}

    def edits(self, name: str, before: str, after: str) -> None:
        """Replace text in a file of the project; fails where it is not there."""
        path = self.folder / name
        text = path.read_text()
        assert before in text
        path.write_text(text.replace(before, after))


@pytest.fixture(scope="session")
def person(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Person]:
    """Somebody with a copy of one of the projects beside this file, in a folder of their own or the one given."""

    def make(project: str, folder: Path | None = None) -> Person:
        folder = folder or tmp_path_factory.mktemp(project)
        shutil.copy(PROJECTS / f"{project}.py", folder)
        return Person(folder)

    return make


@pytest.fixture
def someone(tmp_path: Path) -> Person:
    """Somebody in an empty folder, without a project."""
    return Person(tmp_path)
