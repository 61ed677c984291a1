"""The planner's speed: training layouts looked at beside llm-analysis and Calculon, a search for 10^12 weights, an answer, 1,500 cases.

Layouts are of a 175B model on 1,024 H100, 1,024 sequences of 2,048 a step; each program searches its own grid of them and is asked by its
Python API, imports and loading not counted. What is worked out for a layout is not the same: llm-analysis is given the efficiency that
the others predict. Calculon is published as source only: where that cannot be reached, the page says so and repeats RECORDED.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from environments import HERE, ROOT, python_of
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

PEERS = {"llm-analysis": ("planner_llm_analysis.py", 5_000), "calculon": ("planner_calculon.py", 2_000)}
"""Program and number of layouts: each takes seconds."""
LAYOUTS = 500_000
RECORDED = {"calculon": 264.0, "llm-analysis": 1_740.0}
"""Layouts a CPU-second as once recorded side by side on 2 slower, busy cores: medians of 3 (232 to 282, 1,687 to 1,755)."""
SEARCHES = ("megatron-1t", "kimi-k2")
"""10^12 weights: dense, and a mixture of experts with a larger grid."""
_SEARCH = "search for {}, 1,024 of any accelerator"
ANSWERS = 20
SERVING = 1_500
TRAIN = ("train", "--model", "llama-3.1-70b", "--tokens", "2T", "--seq-len", "8192", "--on", "h100", "--by", "30d")
SERVE = ("serve", "--model", "llama-3.1-70b", "--isl", "2000", "--osl", "300", "--rate", "40/s", "--ttft", "500ms", "--tpot", "30ms")
COMMANDS = {
    "size train": TRAIN,
    "size serve": SERVE,
    "size finetune": ("finetune", "--model", "qwen3-14b", "--method", "lora"),
    "size batch": ("batch", "--model", "llama-3.1-8b", "--isl", "1000", "--osl", "200", "--requests", "1M"),
    "size site": ("site", "--nodes", "128", "--node", "dgx-h100"),
    "size cost": ("cost", "--node", "p5.48xlarge", "--months", "36", "--utilisation", "60%"),
}
SEARCH = ("train", "--model", "kimi-k2", "--tokens", "10T", "--gpus", "1024")


def cases(asked: Asked) -> list[Case]:
    """Ours in process and as commands, and the peers that can be had."""
    folder = asked.scratch / "planner"
    inside = (asked.python, str(HERE / "peers" / "planner_ours.py"))
    command = str(Path(asked.python).with_name("bedplate"))
    layouts = LAYOUTS // 25 if asked.quick else LAYOUTS
    found = [
        Case(system="bedplate", work="layouts", command=(*inside, "layouts", str(layouts)), folder=folder, pieces=layouts),
        *(Case(system="bedplate", work=f"search {one}", command=(*inside, "search", one), folder=folder) for one in SEARCHES),
        Case(system="bedplate", work="answers", command=(*inside, "answers"), folder=folder, pieces=ANSWERS),
        Case(system="bedplate", work="--help", command=(command, "--help"), folder=folder),
        *(Case(system="bedplate", work=name, command=(command, "size", *given), folder=folder) for name, given in COMMANDS.items()),
        Case(system="bedplate", work="size search", command=(command, "size", *SEARCH), folder=folder),
        Case(
            system="bedplate", work="size --cases", command=(command, "size", "--cases", "cases.jsonl"), folder=folder,
            before=_cases, pieces=SERVING,
        ),
    ]  # fmt: skip
    return found if asked.quick else found + _peers(folder)


def _peers(folder: Path) -> list[Case]:
    """A peer whose packages or source cannot be reached from here is left out."""
    found = []
    for peer, (program, layouts) in PEERS.items():
        try:
            python = str(python_of(peer))
        except subprocess.CalledProcessError:
            continue
        command = (python, str(HERE / "peers" / program), str(layouts))
        found.append(Case(system=peer, work="layouts", command=command, folder=folder, pieces=layouts))
    return found


def _cases(folder: Path) -> None:
    """SERVING of the calibration's serving cases, evenly over its files, without what was measured."""
    lines = [line for path in sorted((ROOT / "calibration" / "cases").glob("infer_*.jsonl")) for line in path.read_text().splitlines()]
    rows = [row for row in map(json.loads, lines) if row["kind"].startswith("serve_")]
    kept = [{key: value for key, value in rows[i * len(rows) // SERVING].items() if key != "measured"} for i in range(SERVING)]
    (folder / "cases.jsonl").write_text("".join(json.dumps(row) + "\n" for row in kept))


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """The goals of speed; beside a peer only told, because what is worked out for a layout differs."""
    table = Table(measured)
    start = table.cpu("bedplate", "--help")
    slowest = max(COMMANDS, key=lambda name: table.cpu("bedplate", name))
    after = table.cpu("bedplate", slowest) - start
    answer = _inside(table, "bedplate", "answers") / ANSWERS * 1e3
    each = (table.cpu("bedplate", "size --cases") - start) / SERVING * 1e3
    search = table.cpu("bedplate", "size search") - start
    return [
        *_rates(table),
        *(Finding(what=_SEARCH.format(one), value=_inside(table, "bedplate", f"search {one}"), unit="CPU s", goal=5.0) for one in SEARCHES),
        Finding(what="the same for kimi-k2 as a command, beyond --help", value=search, unit="CPU s", goal=5.0),
        Finding(what="one answer in process (70B, any count of H100)", value=answer, unit="CPU ms", goal=50.0),
        Finding(what=f"the slowest of {len(COMMANDS)} commands beyond --help: {slowest}", value=after, unit="CPU s", goal=1.0),
        Finding(what="1,500 serving cases, whole command", value=table.cpu("bedplate", "size --cases"), unit="CPU s"),
        Finding(what="each of them", value=each, unit="CPU ms", goal=50.0),
    ]


def _rates(table: Table) -> list[Finding]:
    """Layouts a CPU-second: ours, and beside each peer that was measured here."""
    ours = _rate(table, "bedplate")
    found = [Finding(what="layouts looked at", value=ours / 1e3, unit="thousand a CPU s", goal=20.0, at_least=True)]
    for peer in PEERS:
        if (peer, "layouts") in table:
            found.append(Finding(what=f"layouts beside {peer}", value=ours / _rate(table, peer), unit="times"))
    if ("llm-analysis", "layouts") in table and ("calculon", "layouts") not in table:
        beside = RECORDED["llm-analysis"] / 1e3
        told = f"calculon, NOT measured: its source is not reachable here; recorded elsewhere, where llm-analysis had {beside:g}"
        found.append(Finding(what=told, value=RECORDED["calculon"] / 1e3, unit="thousand a CPU s"))
    return found


def _rate(table: Table, system: str) -> float:
    return table[system, "layouts"].pieces / _inside(table, system, "layouts")


def _inside(table: Table, system: str, work: str) -> float:
    said = table[system, work].inside
    if said is None:
        raise ValueError(f"{system} did not say how long {work} took")
    return said


PLANNER = Measurement(name="planner", title="Planner", cases=cases, judge=judge)
