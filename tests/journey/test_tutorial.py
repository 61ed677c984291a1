"""The tutorials are true: their commands run in order in a new folder, and print the lines that they show."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)
READY = 'until curl -sf "http://127.0.0.1:{port}/docs" >/dev/null; do kill -0 %1 || exit 9; sleep 0.2; done'


def plain(line: str) -> str:
    """A line without what differs from run to run: ids, numbers, times, sizes, spacing."""
    line = re.sub(r"\b[rapq]-[0-9a-z]{9}-[0-9a-z]{6}\b", "ID", line)
    line = re.sub(r"[\d.,:]*\d", "#", line)
    line = re.sub(r"# (us|ms|s|min|h)\b", "TIME", line)
    line = re.sub(r"# (B|kB|MB|GB)\b", "SIZE", line)
    return re.sub(r"\s+", " ", line).strip()


def script(name: str, port: int) -> tuple[str, list[str]]:
    """A tutorial's commands as one script, and the lines that its blocks show."""
    commands, shown = [], []
    for block in BLOCK.findall((TUTORIALS / name).read_text().replace("8000", str(port))):
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append(line[2:])
                if line.endswith(" &"):
                    commands.append(READY.format(port=port))
                if line == "$ kill %1":
                    commands.append("wait %1 || true")
            else:
                shown.append(line.removesuffix("..."))  # what is cut
    return "\n".join(["set -em", "trap 'kill %1 2>/dev/null || true' EXIT", *commands]), shown


@pytest.mark.skipif(shutil.which("curl") is None, reason="a tutorial asks the service with curl")
@pytest.mark.parametrize("name", sorted(path.name for path in TUTORIALS.glob("*.md")))
def test_a_tutorial_runs_as_it_is_written(name: str, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text, shown = script(name, port)
    environ = {**os.environ, "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]), "COLUMNS": "160"}
    done = subprocess.run(["bash", "-c", text], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    printed = [plain(line) for line in done.stdout.splitlines()]
    missing = [line for line in shown if not any(plain(line) in one for one in printed)]
    assert missing == [], done.stdout


def test_a_new_projects_own_tests_pass(tmp_path: Path) -> None:
    """Its functions are plain functions, called with what they would receive."""
    subprocess.run([sys.executable, "-m", "bedplate", "new", "birds"], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-m", "pytest", "-q"], cwd=tmp_path / "birds", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
