"""Step overhead: a 20-step chain, a 50-wide fan-out, the cost of each further step, 10,000 steps, and a re-run with nothing to do.

bedplate is the whole command (`bedplate run`), isolated and recorded durably; `inline` is `compute = inline`, recorded but in one process.
The steps add one, so all that is measured is overhead. Peers run the same graph by their own ways (see `peers/`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from environments import HERE, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured, emptied
from peers import shapes

PEERS = HERE / "peers"
EASY = ("hamilton", "kedro")
SLOW = ("redun", "dagster", "metaflow")
SLOWER = ("prefect",)
CHAIN, FAN, WIDE, HUGE = 20, 50, 450, 10_000
OWN = "each of these steps is a function of its own, which is read, wired and keyed; parts of one function (10,000 steps) cost less"
KEPT = "key, lease, attempt, version and lineage are written as for any step (0.2 ms in SQLite); a fifth is reading each function"


def _project(folder: Path, shape: str, n: int) -> None:
    head = "from bedplate import Project\n\nwork = Project('work')\n\n\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.py").write_text(head + shapes.source(shape, n, "@work.prepare()"))


def _parts(folder: Path, n: int) -> None:
    """A fan by `each=`: one function for n keys."""
    lines = ["@work.prepare()", "def keys() -> list[str]:", f"    return [f'k{{i:05d}}' for i in range({n})]", "", ""]
    lines += ['@work.prepare(each="keys")', "def wide(keys: str) -> int:", "    return 1", ""]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "work.py").write_text("\n".join(["from bedplate import Project", "", "work = Project('work')", "", "", *lines]))


def cases(asked: Asked) -> list[Case]:
    """bedplate in two ways, plain Python, the floor, and the peers."""
    found = [*_ours(asked), *_cached(asked), *_scripts(asked, "plain Python", "plain.py", asked.python)]
    found += _scripts(asked, "fork + durable record", "forked.py", asked.python, wide=True)
    if asked.quick:
        return found
    for peer in (*EASY, *SLOW, *(SLOWER if asked.all else ())):
        reps = 0 if peer in EASY else 1
        found += _scripts(asked, peer, f"on_{peer}.py", str(python_of(peer)), reps=reps, wide=peer in EASY)
    return found


def _ours(asked: Asked) -> list[Case]:
    command = (str(Path(asked.python).with_name("bedplate")), "run")
    found = []
    for system, environ in (("bedplate", {}), ("bedplate inline", {"BEDPLATE_COMPUTE": "inline"})):
        for work, shape, n in (("chain", "chain", CHAIN), ("fan", "fan", FAN), ("wide", "fan", WIDE)):
            folder = asked.scratch / system.replace(" ", "-") / work
            _project(folder, shape, n)
            found.append(
                Case(system=system, work=work, command=command, folder=folder, environ=environ, before=emptied(".bedplate"), pieces=n)
            )
    if not asked.quick:
        folder = asked.scratch / "bedplate" / "huge"
        _parts(folder, HUGE)
        found.append(Case(system="bedplate", work="huge", command=command, folder=folder, before=emptied(".bedplate"), pieces=HUGE, reps=1))
    return found


def _cached(asked: Asked) -> list[Case]:
    """The second run of a chain: the first turn, which does not count, makes what is then found again."""
    folder = asked.scratch / "bedplate" / "cached"
    _project(folder, "chain", CHAIN)
    command = (str(Path(asked.python).with_name("bedplate")), "run")
    inside = (asked.python, str(PEERS / "on_bedplate.py"))
    return [
        Case(system="bedplate", work="cached chain", command=command, folder=folder, pieces=CHAIN),
        Case(system="bedplate", work="cached chain, run call", command=inside, folder=folder, pieces=CHAIN),
    ]


def _scripts(asked: Asked, system: str, script: str, python: str, *, reps: int = 0, wide: bool = False) -> list[Case]:
    works = [("chain", "chain", CHAIN), ("fan", "fan", FAN), *([("wide", "fan", WIDE)] if wide else [])]
    return [
        Case(
            system=system, work=work, command=(python, str(PEERS / script), shape, str(n)),
            folder=asked.scratch / system.replace(" ", "-") / work, pieces=n, reps=reps,
            before=emptied("results", "record.db", "record.db-wal", "record.db-shm", "home", "redun.db", ".metaflow", ".redun"),
        )
        for work, shape, n in works
    ]  # fmt: skip


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """The goals of the shared list of peers."""
    table = Table(measured)
    floor = table.marginal_ms("fork + durable record", "fan", "wide")
    isolated, inline = (table.marginal_ms(system, "fan", "wide") for system in ("bedplate", "bedplate inline"))
    inside = table["bedplate", "cached chain, run call"].inside or 0.0
    found = [
        Finding(what="chain, whole command", value=table.cpu("bedplate", "chain"), unit="CPU s", goal=1.0),
        Finding(what="fan, whole command", value=table.cpu("bedplate", "fan"), unit="CPU s", goal=1.5),
        Finding(what="cached chain, whole command", value=table.cpu("bedplate", "cached chain"), unit="CPU s", goal=0.5),
        Finding(what="cached chain, the run call", value=inside * 1e3, unit="CPU ms", goal=50.0),
        Finding(what="each further isolated step", value=isolated, unit="CPU ms", goal=5.0, note=OWN),
        Finding(what="each further isolated step beside fork + durable record", value=isolated / floor, unit="times", goal=2.0),
        Finding(what="each further inline step", value=inline, unit="CPU ms", goal=0.5, note=KEPT),
    ]
    if ("bedplate", "huge") in table:
        each = table.cpu("bedplate", "huge") / HUGE * 1e3
        found.append(Finding(what="10,000 steps, each", value=each, unit="CPU ms", goal=20.0))
    if ("metaflow", "fan") in table:
        theirs = (table.cpu("metaflow", "fan") + table.cpu("metaflow", "chain")) / (CHAIN + FAN) * 1e3
        found.append(Finding(what="Metaflow's step beside ours", value=theirs / isolated, unit="times", goal=100.0, at_least=True))
    return found


STEPS = Measurement(name="steps", title="Step overhead", cases=cases, judge=judge)
