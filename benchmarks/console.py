"""The console: every page over 100,000 runs, 10,000 artifacts and a million points, and beside MLflow's own pages in a real Chromium.

With --all the table of runs and a comparison of 100 runs are opened in both, over the same 100,000 runs. Times are until the names of the
first runs can be read, and the parallel coordinates of the comparison are drawn. Needs chromium.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tracking
from environments import HERE, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

_DRIVE = HERE / "peers" / "console_drive.py"
_RUNS, _COMPARED = 100_000, 100
_PAGE_MS, _WEIGHT_KB = 200.0, 300.0
_TABS, _SECONDS = 20, 20


def cases(asked: Asked) -> list[Case]:
    """Ours over a record with all that a page can meet; then both over the same runs."""
    size = 200 if asked.quick else _RUNS
    ready = partial(_big, python=asked.python, quick=asked.quick)
    folder = asked.scratch / "console" / "big"
    found = [
        _case("bedplate", folder, (asked.python, "ours", asked.python, "pages", "500" if asked.quick else str(_RUNS)), ready),
        _case("bedplate", folder, (asked.python, "ours", asked.python, "tabs", str(_TABS), "2" if asked.quick else str(_SECONDS)), ready),
    ]
    if not asked.all:
        return found
    client = str(python_of("mlflow"))
    for work in ("table", "compare"):
        for system, word in tracking.SYSTEMS.items():
            filled = partial(tracking.filled, system=word, python=asked.python, client=client, sizes=(size,), points=1)
            place = asked.scratch / "console" / word
            found.append(_case(system, place, (asked.python, word, client, work, str(size), str(_COMPARED)), filled))
    return found


def _case(system: str, folder: Path, words: tuple[str, ...], before: partial[None]) -> Case:
    python, *rest = words
    paths = ":".join(str(one) for one in (HERE, HERE / "peers"))
    return Case(
        system=system, work=rest[2], command=(python, str(_DRIVE), *rest), folder=folder, before=before, reps=3,
        environ={"PYTHONPATH": paths},
    )  # fmt: skip


def _big(folder: Path, *, python: str, quick: bool) -> None:
    """The large record, made once."""
    if any(folder.iterdir()):
        return
    few = ("--runs", "500", "--artifacts", "200", "--points", "5000") if quick else ()
    subprocess.run([python, str(HERE / "big_record.py"), str(folder), *few], check=True)


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """The slowest and the heaviest page, each page told; ratios to MLflow's."""
    table = Table(measured)
    ours = table["bedplate", "pages"]
    told = ours.samples[0].told
    pages = [name.removeprefix("page_").removesuffix("_ms") for name in told if name.startswith("page_")]
    found = [Finding(what=f"page {name}: server time", value=ours.told(f"page_{name}_ms"), unit="ms", goal=_PAGE_MS) for name in pages]
    heaviest = max(pages, key=lambda name: ours.told(f"weight_{name}_kb"))
    found.append(Finding(what=f"heaviest page ({heaviest})", value=ours.told(f"weight_{heaviest}_kb"), unit="kB", goal=_WEIGHT_KB))
    tabs = table["bedplate", "tabs"]
    found += [
        Finding(what=f"{_TABS} open tabs while a run logs: CPU of the server", value=tabs.told("tabs_cpu_share"), unit="cores"),
        Finding(what=f"{_TABS} open tabs while a run logs: a page meanwhile", value=tabs.told("tabs_page_ms"), unit="ms", goal=_PAGE_MS),
    ]
    if ("MLflow", "table") not in table:
        return found
    for work, words in (("table", "table of 100,000 runs"), ("compare", f"{_COMPARED} runs compared")):
        mine, theirs = table["bedplate", work], table["MLflow", work]
        wall, cpu, kb = (theirs.told(f"{work}_{what}") for what in ("wall_ms", "cpu_ms", "kb"))
        mine_ms = mine.told(f"{work}_wall_ms")
        found += [
            Finding(what=f"{words}: until it can be read, MLflow's {wall:.0f} ms", value=mine_ms, unit="ms"),
            Finding(what=f"{words}: times quicker than MLflow's", value=wall / mine_ms, unit="x", goal=1.0, at_least=True),
            Finding(what=f"{words}: CPU of the server, MLflow's {cpu:.0f} ms", value=mine.told(f"{work}_cpu_ms"), unit="ms"),
            Finding(what=f"{words}: loaded, MLflow's {kb:.0f} kB", value=mine.told(f"{work}_kb"), unit="kB"),
        ]
    return found


CONSOLE = Measurement(name="console", title="Console", cases=cases, judge=judge)
