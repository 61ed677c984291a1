"""`bedplate size`: what a workload takes, before a cent is spent. A group: one command for each question, `ask` for one in JSON.

`--cases` answers a file of cases.

Choices: a question is read in `size_ask.py`, answered by `assembly.size`, and drawn by `size_view.py`, `size_page.py` and
`size_report.py`; nothing is worked out in this room.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
import msgspec

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.answering import answer
from bedplate.planner.facts.cases import Answer, Case
from bedplate.planner.facts.estimate import Estimate

from .size_ask import SETTINGS, batch, cost, finetune, serve, site, train
from .size_json import command as asked
from .size_list import command as listed


@click.group("size", invoke_without_command=True)
@click.option("--cases", type=click.Path(path_type=Path), metavar="FILE.jsonl", help="Answer every case of a file, one JSON object a line.")
@click.option("--systems", type=click.Path(path_type=Path), metavar="FOLDER", help="Rows of your own, over those that ship with bedplate.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.pass_context
def command(context: click.Context, cases: Path | None, systems: Path | None, as_json: bool) -> int:
    """Say what an AI workload takes: time, hardware, money and power."""
    if context.invoked_subcommand is None:
        if cases is None:
            click.echo(context.get_help())
            return 0
        return answer_cases(cases, systems)
    context.find_root().meta[SETTINGS] = {"systems": systems, "as_json": as_json}
    return 0


for one in (train, finetune, serve, batch, site, cost, asked, listed):
    command.add_command(one)


def answer_cases(path: Path, systems: Path | None) -> int:
    """One line for each case of a file: its quantities, or why there is no answer. A line that is no case is named on standard error."""
    known, broken, first = knowledge(systems), 0, dict[str, int]()
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            case = msgspec.json.decode(line, type=Case)
        except (msgspec.DecodeError, RecursionError, UnicodeEncodeError) as error:
            broken += 1
            told = _told(line, f"the case cannot be read: {error}")
            if told is None:
                click.echo(f"{path.name}, line {number}: {error}", err=True)
                continue
        else:
            told = spoken(answer(case, known))
            if first.setdefault(case.id, number) != number:
                click.echo(f"{path.name}, line {number}: '{case.id}' is the id of line {first[case.id]} too", err=True)
        sys.stdout.write(json.dumps(told) + "\n")
    return UserError.exit_code if broken else 0


def spoken(given: Answer) -> dict[str, Any]:
    """An answer as the program's line: quantities stand beside the id."""
    if given.unsupported:
        return {"id": given.id, "unsupported": given.unsupported}
    told: dict[str, Any] = {"id": given.id}
    if given.fits is not None:
        told["fits"] = given.fits
    told.update({name: _numbers(estimate) for name, estimate in given.quantities.items()})
    told["basis"] = given.basis
    if given.warnings:
        told["warnings"] = list(given.warnings)
    return told


def _numbers(estimate: Estimate) -> dict[str, float]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


class _Named(msgspec.Struct):
    """What is read of a line that is no case."""

    id: str | int | float | None


def _told(line: str, reason: str) -> dict[str, Any] | None:
    """The answer to a line that is JSON with an id, but no case; None where it has no id to answer to."""
    try:
        return {"id": msgspec.json.decode(line, type=_Named).id, "unsupported": reason}
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None


def _lines(path: Path) -> list[str]:
    """The lines of a file, as JSON Lines knows them: no other sign than a line feed ends one."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read", why=str(error), next="give a file of one JSON object a line") from None
