"""One trial as a process of its own: `bedplate run` with other settings, whose lines of JSON are read as they come.

A run is what any run is: its steps are keyed, leased, committed and recovered like others; a trial that dies takes nothing with it. The
process stands in a session of its own, so that Ctrl-C reaches the search, which ends its trials itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

REFUSED = 5
"""The exit code of a run that the project's budget refused or stopped."""
OUTCOMES = (0, 6)
"""Exit codes of a run that got to its end: 6 is a check that did not pass, which a search wants to know too."""


class Child:
    """A run that is going on. `heard(kind, said)` gets each line as it is read by `read`, which blocks no longer than there is output."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.run = ""
        self.problem = ""
        self.killed = False
        self._rest = b""
        command = [sys.executable, "-m", "bedplate", "run", *arguments, "--json"]
        environ = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environ, start_new_session=True
        )
        os.set_blocking(self.fd, False)

    @property
    def fd(self) -> int:
        """What is readable when the run says something, or has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    def read(self, heard: Callable[[dict[str, Any]], None]) -> bool:
        """Take what there is; whether the run has closed its end."""
        try:
            piece = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return False
        self._rest += piece
        *lines, self._rest = self._rest.split(b"\n")
        for line in lines:
            self._take(line, heard)
        return not piece

    def stop(self) -> None:
        """Ask it to stop cleanly, as Ctrl-C would."""
        self.killed = True
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)

    def end(self, patience_s: float) -> int:
        """Its exit code, at the latest after so many seconds."""
        try:
            code = self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        return code

    def _take(self, line: bytes, heard: Callable[[dict[str, Any]], None]) -> None:
        try:
            said = json.loads(line)
        except json.JSONDecodeError:  # the error of a run that did not begin
            text = line.decode(errors="replace")
            self.problem = self.problem or (text.removeprefix("error: ") if text.startswith("error: ") else "")
            return
        kind = said.get("kind", "")
        if kind == "run.started":
            self.run = str(said.get("data", {}).get("run", ""))
        elif kind == "step.failed":
            self.problem = f"{said.get('step', '')}: {said.get('text', '')}"
        heard(said)
