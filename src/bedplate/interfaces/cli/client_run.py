"""A run that a client logged, as `bedplate show` and `bedplate lineage` draw it: what it said, what it used, and what it made."""

from __future__ import annotations

import re
from typing import Final

from rich.console import Console
from rich.markup import escape

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.tracking.tracked import CONTEXT, SOURCE_NAME, RunDetail
from bedplate.core.errors import NotFound
from bedplate.core.records import Run
from bedplate.core.units import show_bytes, show_seconds

from .common import as_of, console, put_json, table

_ID: Final = re.compile(r"[0-9a-f]{32}")
_MOST: Final = 40
"""Rows of one table that are printed; --json has all."""
_LONG: Final = 100
"""Characters of a value that are printed."""


def is_client_run(name: str) -> bool:
    """Whether a name has the form of a client's run: 32 hexadecimal digits."""
    return _ID.fullmatch(name) is not None


def show_client_run(catalog: Catalog, run_id: str, as_json: bool) -> int:
    """Draw one. Raises NotFound where there is none."""
    run, detail = catalog.runs.get(run_id), said(catalog, run_id)
    if detail is None:
        raise NotFound(f"nobody logged a run '{run_id}'", why="a version was registered without one", next="bedplate status")
    made = [version.ref for version in catalog.artifacts.by_attempt(run_id)]
    if as_json:
        put_json({"run": run, "said": detail, "files": catalog.tracking.files.below(run_id), "made": made})
        return 0
    out = console()
    _head(out, run, detail, made)
    _table(out, "metric", {one.key: f"{float(one.value):.6g}" for one in detail.metrics})
    _table(out, "param", {one.key: one.value for one in detail.params})
    _table(out, "tag", {one.key: one.value for one in detail.tags if not one.key.startswith("mlflow.")})
    _table(out, "file", {one.path: show_bytes(one.size) for one in catalog.tracking.files.below(run_id)})
    return 0


def said(catalog: Catalog, run_id: str) -> RunDetail | None:
    """What a client said of a run; None where it is none of a client."""
    return next(iter(catalog.tracking.details.of([run_id])), None)


def in_a_line(detail: RunDetail) -> str:
    """Which run it is: `run lgb (01a2...) of a client, train.py`."""
    source = next((one.value for one in detail.tags if one.key == SOURCE_NAME), "")
    return f"run {detail.run.name} ({detail.run.id}) of a client" + (f", {source[:_LONG]}" if source else "")


def datasets(detail: RunDetail) -> list[str]:
    """The datasets that it used: `rows (digest 41dc9704) for train`."""
    return [
        f"{one.dataset.name} (digest {one.dataset.digest})" + "".join(f" for {tag.value}" for tag in one.tags if tag.key == CONTEXT)
        for one in detail.datasets
    ]


def _head(out: Console, run: Run, detail: RunDetail, made: list[str]) -> None:
    took = f", {show_seconds((run.ended_at - run.started_at).total_seconds())}" if run.ended_at else ""
    deleted = ", deleted" if detail.run.stage == "deleted" else ""
    out.print(f"[bold]{escape(detail.run.name)}[/bold]  {run.status}{deleted}{took}", soft_wrap=True)
    rows = {
        "run": f"{run.id}, of a client",
        "experiment": f"{run.project} ({detail.run.experiment})",
        "began": f"{as_of(run.started_at)} UTC" + (f" by {run.command}" if run.command else ""),
        "commit": run.git_commit,
        "data": "; ".join(datasets(detail)),
        "made": ", ".join(made),
    }
    for name, value in rows.items():
        if value:
            out.print(f"  {name:<11} {escape(value)}", soft_wrap=True)


def _table(out: Console, of: str, rows: dict[str, str]) -> None:
    if not rows:
        return
    drawn = table(of, "#size" if of == "file" else "#value" if of == "metric" else "value")
    for name in sorted(rows)[:_MOST]:
        value = rows[name]
        drawn.add_row(escape(name), escape(value if len(value) <= _LONG else f"{value[: _LONG - 4]} ..."))
    out.print()
    out.print(drawn)
    if len(rows) > _MOST:
        out.print(f"[dim]and {len(rows) - _MOST:,} more[/dim]")
