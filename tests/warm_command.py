"""The command, warm: one process imports what `bedplate` needs and forks for each command, so that a test may start hundreds of servers.

It reads lines of JSON: {"words": [...], "folder": ..., "out": ...} starts a command and says {"pid": ...}, {"wait": PID} says how it ended.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_WARM = ("up", "doctor", "audit")
_PATIENCE_S = 30


class Warm:
    """Such a process, and the commands that it starts."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def start(self, folder: Path, *words: str) -> int:
        """Start a command in a folder; its process. What it prints lies beside the folder."""
        return int(self._ask({"words": words, "folder": str(folder), "out": str(out_of(folder))})["pid"])

    def wait(self, pid: int) -> int:
        """How it ended: its exit code, or the signal that killed it as a negative number."""
        return int(self._ask({"wait": pid})["code"])

    def says(self, folder: Path, *words: str) -> tuple[int, Any]:
        """The exit code of a command, and the JSON that it printed."""
        code = self.wait(self.start(folder, *words, "--json"))
        return code, json.loads(out_of(folder).read_text())

    def up(self, folder: Path) -> tuple[int, str, str]:
        """Start a server: its process, URL and token."""
        pid = self.start(folder, "up", "--json", "--no-due", "--port", "0")
        until = time.monotonic() + _PATIENCE_S
        while not (said := out_of(folder).read_text()).endswith("\n"):
            if time.monotonic() > until:
                raise TimeoutError(said)
            time.sleep(0.005)
        line = json.loads(said.splitlines()[0])
        return pid, line["url"], line["token"]

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(_PATIENCE_S)
        self._process.stdout.close()

    def _ask(self, asked: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def out_of(folder: Path) -> Path:
    """Where what a command prints is found."""
    return folder.with_name(f"{folder.name}.out")


def _serve() -> None:
    cli = importlib.import_module("bedplate.interfaces.cli")
    for verb in _WARM:
        importlib.import_module(f"bedplate.interfaces.cli.{verb}")
    importlib.import_module("bedplate.interfaces.http.up.server")
    importlib.import_module("bedplate.interfaces.http.up.table").endpoints()
    for line in sys.stdin:
        asked = json.loads(line)
        if "wait" in asked:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1])}
        else:
            Path(asked["out"]).write_bytes(b"")
            answer = {"pid": _start(cli, asked)}
        print(json.dumps(answer), flush=True)


def _start(cli: Any, asked: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.chdir(asked["folder"])
    printed = os.open(asked["out"], os.O_WRONLY | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    complained = os.open(asked["out"] + ".err", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for here, there in ((nothing, 0), (printed, 1), (complained, 2)):
        os.dup2(here, there)
    try:
        cli.main(asked["words"])
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    os._exit(0)


if __name__ == "__main__":
    _serve()
