"""The whole way in one go: run, serve, replay two months of traffic, bring the truth, watch. `make demo` calls this.

Each step is a bedplate command that is printed before it runs; what is printed at the end is read from the record. Run again, it
re-makes nothing, and asks the service nothing that this model has answered already.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import msgspec
from four_ways import BEDPLATE, alike, server
from replay import Traffic, held_out, replay
from rich.console import Console
from rich.table import Table

import bedplate
from bedplate.compute.meter import Meter
from bedplate.core.units import show_bytes, show_joules, show_seconds

HERE = Path(__file__).parent
OUT = Console(highlight=False)

STAGES = ("ingest", "prepare", "train", "validate", "deploy", "monitor")
COSTS = "SELECT DISTINCT c.* FROM versions v JOIN costs c ON c.attempt = v.attempt WHERE v.is_head"
TABLES = "SELECT artifact, rows FROM versions WHERE is_head AND kind = 'table' AND artifact NOT LIKE '%_over_%'"


class Served(msgspec.Struct, frozen=True):
    """What the model was asked, and what serving it took: bytes at the most, joules and on what they are based; `alike` is how many flights
    four ways to ask agreed on.
    """

    model: str
    traffic: Traffic
    peak_bytes: float
    joules: float
    basis: str
    alike: int = 0


def main() -> None:
    """Every stage in order, then what came of it."""
    begun = time.perf_counter()
    command("run")
    workspace = bedplate.open(HERE)
    model = f"late@{workspace.catalog.models.alias('late', 'production')}"
    kept = workspace.config.state / "replayed.json"
    served = msgspec.json.decode(kept.read_bytes(), type=Served) if kept.exists() else None
    if served is not None and served.model == model:
        OUT.print(f"\n[bold]serve, replay, labels[/bold]: skipped, {model} has answered these {served.traffic.flights:,} flights already")
    else:
        served = serve_and_replay(workspace, model)
        kept.write_bytes(msgspec.json.encode(served))
    command("watch", "will_be_late", "--by", "due")
    show(workspace, served)
    here = f". {os.path.relpath(sys.prefix)}/bin/activate; cd {os.path.relpath(HERE)}"
    OUT.print(f"\nall of it in {time.perf_counter() - begun:.1f} s. Next, after `{here}`:")
    for line in (
        "bedplate why late",
        'bedplate sql "SELECT airline, avg(late::INT) FROM departures GROUP BY 1 ORDER BY 2"',
        "bedplate serve",
    ):
        OUT.print(f"  [bold]{line}[/bold]", soft_wrap=True)


def command(*words: str) -> None:
    """Run one bedplate command here, printed as a person would type it. Ends the demo where it fails."""
    OUT.print(f"\n[bold]$ bedplate {' '.join(words)}[/bold]")
    if ended := subprocess.run([*BEDPLATE, *words], cwd=HERE, check=False).returncode:
        sys.exit(ended)


def serve_and_replay(workspace: Any, model: str) -> Served:
    """Serve, send the held-out flights, stop the server, and bring the truth of those that landed."""
    meter = Meter(float(workspace.config["watts"].split()[0]) / (os.cpu_count() or 1))
    flights, truth, before = held_out(), workspace.config.state / "truth.csv", meter.read()
    OUT.print("\n[bold]$ bedplate serve --port 0 --json &[/bold]")
    with server(HERE) as ready:
        OUT.print(json.dumps(ready), markup=False)
        url = ready["url"]
        traffic = replay(url, truth, flights)
        with urllib.request.urlopen(f"{url}/metrics", timeout=10) as page:
            lines = page.read().decode().splitlines()
    process = {name: float(value) for name, value in (line.split(" ", 1) for line in lines if line.startswith("process_"))}
    joules, basis = meter.energy(before, meter.read(), process["process_cpu_seconds_total"])
    command("labels", os.path.relpath(truth, HERE))
    OUT.print("\n[bold]$ python four_ways.py[/bold]")
    return Served(model, traffic, process["process_resident_memory_bytes"], joules, basis, alike(HERE))


def show(workspace: Any, served: Served) -> None:
    """What was made and what it took, from the record."""
    table = Table("stage", "made", "time", "memory", "energy", title="flights, from raw files to a watched model")
    made, took = what_was_made(workspace, served), what_it_took(workspace, served)
    for stage in STAGES:
        table.add_row(stage, made[stage], *took[stage])
    OUT.print("\n", table, sep="")
    if served.alike:
        OUT.print(
            f"{served.alike} flights of Christmas Day, asked online, in batch, as a stream and at the edge: equal answers, bit for bit"
        )
    size = sum(path.stat().st_size for path in workspace.config.state.rglob("*") if path.is_file())
    OUT.print(f"on disk: {show_bytes(size)} in {os.path.relpath(workspace.config.state)}")


def what_was_made(workspace: Any, served: Served) -> dict[str, str]:
    """A line for each stage."""
    rows: dict[str, list[int]] = {}
    for head in workspace.sql(TABLES).to_dicts():
        rows.setdefault(workspace.graph.node(head["artifact"]).declaration.stage, []).append(head["rows"])
    traffic, gate, watched = served.traffic, workspace["good_enough"].load().findings[0], workspace["still_right"].load().findings[0]
    rate = f"{traffic.flights / traffic.seconds:,.0f} a second, p50 {show_seconds(traffic.p50)}, p99 {show_seconds(traffic.p99)}"
    return {
        **{stage: f"{len(given)} tables, {sum(given):,} rows" for stage, given in rows.items()},
        "train": f"{served.model}, in production",
        "validate": f"AUC {gate.value:.3f}, gate {gate.bound:g}",
        "deploy": f"{traffic.flights:,} predictions, {rate}",
        "monitor": f"AUC {watched.value:.3f} as served",
    }


def what_it_took(workspace: Any, served: Served) -> dict[str, tuple[str, str, str]]:
    """Time, memory and energy of each stage, the energy with its basis."""
    stages: dict[str, list[dict[str, Any]]] = {}
    for cost in workspace.sql(COSTS).to_dicts():
        stages.setdefault(workspace.graph.node(cost["step"]).declaration.stage, []).append(cost)
    took = {}
    for stage, costs in stages.items():
        seconds, joules = sum(cost["wall_s"] for cost in costs), sum(cost["energy_joules"] for cost in costs)
        energy = f"{show_joules(joules)} ({costs[0]['energy_basis']})"
        took[stage] = (show_seconds(seconds), show_bytes(max(cost["peak_bytes"] for cost in costs)), energy)
    energy = f"{show_joules(served.joules)} ({served.basis})"
    return {**took, "deploy": (show_seconds(served.traffic.seconds), show_bytes(served.peak_bytes), energy)}


if __name__ == "__main__":
    main()
