"""MLflow's own clients of both lines that people run, each in an environment of its own: MLflow is never installed beside bedplate.

An environment is made once, from its pinned list (`tests/clients/mlflow-3.txt`), under `.venv/clients/`: half a minute and 140 MB
each; with the frameworks, which only slow tests use, four minutes and 2 GB each.
Where it cannot be made its tests skip and say so; with `CI` set they fail.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from driven import asked_of, holds
from real_servers import absent

LISTS = Path(__file__).parent / "clients"
PLACE = Path(__file__).parents[1] / ".venv" / "clients"
RECORDING = LISTS / "recording"
LINES = ("mlflow-2", "mlflow-3")
_TALK_S = 300


def python_of(line: str) -> Path:
    """The interpreter of a line's environment, made where it is missing or its list has changed; skips where that cannot be."""
    wanted = LISTS / f"{line}.txt"
    folder, mark = PLACE / line, PLACE / f".{line}"
    digest = hashlib.sha256(wanted.read_bytes()).hexdigest()
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / f".{line}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ((folder / "bin" / "python").exists() and mark.is_file() and mark.read_text() == digest):
            if folder.is_symlink():
                folder.unlink()  # `--clear` would empty what it leads to
            made = subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=False)
            pip = [
                str(folder / "bin" / "python"),
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--no-deps",
                "-r",
                str(wanted),
            ]
            if made.returncode or subprocess.run(pip, check=False).returncode:
                absent(f"client {line}")
            mark.write_text(digest)
    return folder / "bin" / "python"


class Client:
    """One line of the client."""

    def __init__(self, line: str) -> None:
        self.line = line
        self._python = python_of(line)

    def start(self, script: str, url: str, token: str, *words: str, further: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Begin a script of `tests/clients/`, pointed at a tracker by its environment alone."""
        environment = {
            "PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "MLFLOW_TRACKING_URI": url,
            "MLFLOW_TRACKING_TOKEN": token, "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "6",
            "MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", **(further or {}),
        }  # fmt: skip
        command = [str(self._python), str(LISTS / f"{script}.py"), *words]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def says(self, script: str, url: str, token: str, *words: str) -> Any:
        """What a script printed last, which is JSON. Fails the test where the script fails, or drives other endpoints than are written."""
        with tempfile.TemporaryDirectory() as folder:
            record = Path(folder) / "record"
            said = told(self.start(script, url, token, *words, further={"PYTHONPATH": str(RECORDING), "RECORD_TO": str(record)}))
            holds(self.line.removesuffix("-frameworks"), _test(), asked_of(record))
        return said


def _test() -> str:
    """The test that runs, as driven.csv names it: without the client among its parameters."""
    name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0].rpartition("::")[2]
    return re.sub(r"-?mlflow-\d-?", "", name).replace("[]", "")


def told(process: subprocess.Popen[str]) -> Any:
    """What a script that was begun printed last."""
    out, err = process.communicate(timeout=_TALK_S)
    if process.returncode:
        pytest.fail(f"the client's script ended with {process.returncode}\n{out}\n{err}")
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="session", params=LINES)
def client(request: pytest.FixtureRequest) -> Client:
    """Both lines of the client, one after the other."""
    return Client(request.param)
