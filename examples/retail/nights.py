"""What became of each night, from the record alone: `python nights.py`. What came, was trained, judged and is live, and why.

Nothing of the replay is known here: it reads the decisions of due work, attempts, versions, verdicts, promotions and predictions, as
`bedplate sql` would. A night is named by its morning.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import bedplate

_SERVED = """
    SELECT "at"::DATE AS day, models->>'$.visit' AS model, count(*) AS asked FROM will_visit
    WHERE status = 200 GROUP BY ALL ORDER BY day
"""


class Night(NamedTuple):
    """A night: by how many lines the tills grew, the model trained (empty: none), the one judged with its verdict, what was live from that
    morning on, how often each model was asked on that day, the AUC that the watch found, and the reasons.
    """

    morning: date
    lines: int
    trained: str
    judged: str
    passed: bool | None
    live: str
    asked: dict[str, int]
    watched: float | None
    why: tuple[str, ...]


class Record:
    """The tables of the record that a night is told from, each by the day of what it says."""

    def __init__(self, project: Any) -> None:
        self._checks = {name: project[name] for name in ("good_enough", "still_right")}
        self.due = _days(project.sql('SELECT *, decided_at AS "at" FROM occurrences ORDER BY decided_at'))
        self.attempts = _days(project.sql("SELECT *, started_at AS \"at\" FROM attempts WHERE step = 'visit' ORDER BY started_at"))
        self.versions = _days(project.sql('SELECT *, created_at AS "at" FROM versions ORDER BY created_at'))
        self.verdicts = _days(project.sql("SELECT * FROM verdicts ORDER BY ALL"))
        self.promotions = _days(project.sql("SELECT * FROM promotions ORDER BY ALL"))
        self.served: dict[date, dict[str, int]] = {}
        if "will_visit" in project.sql("")["table"].to_list():
            for row in project.sql(_SERVED).to_dicts():
                self.served.setdefault(row["day"], {})[row["model"]] = row["asked"]

    def finding(self, check: str, version: int, name: str) -> Any:
        """One finding of a version of a check; None where it has none of that name."""
        return next((one for one in self._checks[check].load(version).findings if one.name == name), None)

    def mornings(self) -> list[date]:
        """Every day on which something was decided."""
        return sorted(self.due)


def nights(project: Any) -> list[Night]:
    """Every night on record, in order."""
    record, live, lines = Record(project), "", 0
    told = []
    for morning in record.mornings():
        for move in record.promotions.get(morning, []):
            live = f"visit@{move['version']}"
        made = {row["artifact"]: row for row in record.versions.get(morning, [])}
        came = made["tills"]["rows"] - lines if "tills" in made else 0
        lines += came
        verdict = next(iter(record.verdicts.get(morning, [])), None)
        watched = record.finding("still_right", made["still_right"]["number"], "auc served") if "still_right" in made else None
        told.append(
            Night(
                morning=morning,
                lines=came,
                trained=f"visit@{made['visit']['number']}" if "visit" in made else "",
                judged=f"visit@{verdict['model_version']}" if verdict else "",
                passed=verdict["passed"] if verdict else None,
                live=live,
                asked=record.served.get(morning, {}),
                watched=watched.value if watched else None,
                why=tuple(_reasons(record, morning, verdict)),
            )
        )
    return told


def _reasons(record: Record, morning: date, verdict: dict[str, Any] | None) -> Iterator[str]:
    """What was out of the ordinary, and what the judgement rests on."""
    for one in record.due[morning]:
        if one["step"] == "tills" and one["status"] == "failed":
            yield f"held outside: {one['reason'].partition('; tills: ')[2].partition(chr(10))[0]}"
        elif one["step"] == "tills" and "changed file" in one["reason"]:
            yield "a file of before was corrected: all days were read anew"
        elif one["step"] == "visit" and one["status"] == "failed":
            yield "nothing trained, its data did not get through"
    for attempt in record.attempts.get(morning, []):
        if attempt["cause"] == "lost":
            yield "killed while training, and trained again"
        elif attempt["message"].startswith("adopted"):
            yield "killed in its commit: the model that was written was taken over"
    if verdict is not None:
        yield from _judgement(record, verdict)
    elif record.promotions:
        yield "no model was old enough to be judged"


def _judgement(record: Record, verdict: dict[str, Any]) -> Iterator[str]:
    """How far from the model that is live."""
    loss = record.finding("good_enough", verdict["check_version"], "log loss")
    word = "passed" if verdict["passed"] else "refused"
    if loss is None:
        yield f"{word}: too few baskets"
    else:
        yield f"{word}: log loss {loss.value:.3f}" + (f", at most {loss.bound:.3f}" if loss.bound is not None else ", and none before it")


def _days(rows: pl.DataFrame) -> dict[date, list[dict[str, Any]]]:
    """Rows by the day of their `at`."""
    days: dict[date, list[dict[str, Any]]] = {}
    for row in rows.to_dicts():
        days.setdefault(row["at"].date(), []).append(row)
    return days


def show(project: Any, out: Console) -> None:
    """A line for each night."""
    table = Table("morning", "lines", "trained", "judged", "", "live", "asked", "AUC", "why", title="retail: what was live, and why")
    last = ""
    for night in nights(project):
        mark = {True: "[green]pass[/green]", False: "[bold red]FAIL[/bold red]", None: ""}[night.passed]
        live = f"[bold green]{night.live}[/bold green]" if night.live != last else f"[dim]{night.live or 'none yet'}[/dim]"
        last = night.live
        table.add_row(
            f"{night.morning:%a %d %b}", f"{night.lines:+,}", night.trained or "[yellow]-[/yellow]", night.judged, mark, live,
            f"{sum(night.asked.values()):,}" if night.asked else "", f"{night.watched:.3f}" if night.watched is not None else "",
            escape("; ".join(night.why)),
        )  # fmt: skip
    out.print(table)


if __name__ == "__main__":
    show(bedplate.open(Path(__file__).parent), Console(highlight=False))
