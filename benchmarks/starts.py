"""Start times (`--help`, `import`) and sizes of an installation."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from environments import PLACE, ROOT, python_of, size_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

NAMES = "from bedplate import Check, Context, Model, Project"
HELP = {"kedro": "kedro", "dagster": "dagster", "metaflow": "metaflow", "redun": "redun"}


def cases(asked: Asked) -> list[Case]:
    """bedplate and the peers that have a command line; bare Python is what no one can go below."""
    folder = asked.scratch / "starts"
    ours = str(Path(asked.python).with_name("bedplate"))
    found = [
        Case(system="python", work="start", command=(asked.python, "-c", "pass"), folder=folder),
        Case(system="bedplate", work="--help", command=(ours, "--help"), folder=folder),
        Case(system="bedplate", work="import", command=(asked.python, "-c", "import bedplate"), folder=folder),
        Case(
            system="bedplate",
            work="import names",
            command=(asked.python, "-c", NAMES),
            folder=folder,
        ),
    ]
    if not asked.quick:
        for peer, command in HELP.items():
            tool = str(python_of(peer).with_name(command))
            environ = {"USERNAME": "bench"}
            found.append(Case(system=peer, work="--help", command=(tool, "--help"), folder=folder, environ=environ, reps=3))
    return found


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Goals for CPU, and for a plain installation where one was made."""
    table = Table(measured)
    found = [
        Finding(what="bedplate --help", value=table.cpu("bedplate", "--help"), unit="CPU s", goal=0.3),
        Finding(what="import bedplate", value=table.cpu("bedplate", "import"), unit="CPU s", goal=0.15),
        Finding(what="from bedplate import four names", value=table.cpu("bedplate", "import names"), unit="CPU s"),
    ]
    if any(one.system in HELP for one in measured):
        size, count = size_of(_installed())
        found.append(Finding(what="installation", value=size / 1e6, unit="MB", goal=650.0))
        found.append(Finding(what="distributions", value=float(count), unit="", goal=45.0))
    return found


def _installed() -> Path:
    """An environment with `pip install .` and nothing else."""
    folder = PLACE / "bedplate"
    PLACE.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    with tempfile.TemporaryDirectory() as cache:
        pip = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, str(ROOT)], check=True, cwd=cache)
    return folder


STARTS = Measurement(name="starts", title="Start times and sizes", cases=cases, judge=judge)
