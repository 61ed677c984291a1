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

import bedplate

LABELLED_AFTER = 3
"""Nights after which the first model can be judged."""
_SERVED = """
    SELECT "at"::DATE AS day, 'visit@' || (models->>'$.visit') AS model, count(*) AS asked FROM will_visit
    WHERE status = 200 GROUP BY ALL ORDER BY day
"""


class Night(NamedTuple):
    """A night: by how many lines the tills grew, the model trained (empty: none), the one judged with its verdict, its
    log loss and the most that it may be, what was live from that morning on, how often each model was asked on that day, the AUC that the
    watch found, and the reasons.
    """

    morning: date
    lines: int
    trained: str
    judged: str
    passed: bool | None
    loss: tuple[float, float | None] | None
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

    def failed(self, check: str, version: int) -> str:
        """What a version of a check found wanting."""
        return "; ".join(str(one).removeprefix("FAIL ") for one in self._checks[check].load(version).findings if not one.passed)

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
        judged = record.finding("good_enough", verdict["check_version"], "log loss") if verdict else None
        watched = record.finding("still_right", made["still_right"]["number"], "auc served") if "still_right" in made else None
        told.append(
            Night(
                morning=morning,
                lines=came,
                trained=f"visit@{made['visit']['number']}" if "visit" in made else "",
                judged=f"visit@{verdict['model_version']}" if verdict else "",
                passed=verdict["passed"] if verdict else None,
                loss=(judged.value, judged.bound) if judged else None,
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
    if verdict is None and record.mornings().index(morning) >= LABELLED_AFTER:
        yield "no model was made three nights ago, so none is judged"
    elif verdict is not None and not verdict["passed"]:
        yield f"visit@{verdict['model_version']} is refused: {record.failed('good_enough', verdict['check_version'])}"
    for one in record.versions.get(morning, []):
        if one["artifact"] == "still_right" and (found := record.failed("still_right", one["number"])):
            yield f"the watch: {found}"


def _days(rows: pl.DataFrame) -> dict[date, list[dict[str, Any]]]:
    """Rows by the day of their `at`."""
    days: dict[date, list[dict[str, Any]]] = {}
    for row in rows.to_dicts():
        days.setdefault(row["at"].date(), []).append(row)
    return days


def show(project: Any, out: Console) -> None:
    """A line for each night, in 80 columns; what was out of the ordinary stands below it."""
    out.print("[bold]retail: what was live, and why[/bold]\n")
    out.print(
        f"[dim]{'morning':<10} {'lines':>8}  {'trained':<8}  {'judged':<8}   {'log loss':<14} {'live':<8}  {'asked':>5}  {'AUC':>5}[/dim]"
    )
    last = ""
    for night in nights(project):
        mark = {True: "[green]+[/green]", False: "[bold red]x[/bold red]", None: " "}[night.passed]
        loss = "" if night.loss is None else f"{night.loss[0]:.3f}" + (f" / {night.loss[1]:.3f}" if night.loss[1] else "")
        style = "bold green" if night.live != last else "dim"
        asked = f"{sum(night.asked.values()):,}" if night.asked else ""
        out.print(
            f"{night.morning:%a %d %b} {night.lines:>+8,}  {night.trained or '-':<8}  {night.judged:<8} {mark} {loss:<14} "
            f"[{style}]{night.live or '-':<8}[/{style}]  {asked:>5}  {'' if night.watched is None else f'{night.watched:.3f}':>5}",
            soft_wrap=True,
        )
        last = night.live
        for reason in night.why:
            out.print(f"{'':10} [yellow]{escape(reason)}[/yellow]", soft_wrap=True)
    out.print(
        "\n[dim]judged three nights after it was made, by log loss / the most that it may have: + is live from then on, x never[/dim]"
    )


if __name__ == "__main__":
    show(bedplate.open(Path(__file__).parent), Console(highlight=False))
