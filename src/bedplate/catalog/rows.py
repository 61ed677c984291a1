"""Rows to records and back: the only place that knows in which order columns come and how a value is kept as text."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

import msgspec

from bedplate.core.clock import iso, parse
from bedplate.core.context import Noted
from bedplate.core.digests import canonical, of_bytes
from bedplate.core.records import Attempt, Event, Forecast, KeyParts, Lease, Promotion, Run, Step, Usage, Verdict, Version
from bedplate.core.sources import Entry

from .database import Row, Value

Values = dict[str, Value]
_parts = msgspec.json.Decoder(KeyParts)
_entries = msgspec.json.Decoder(tuple[Entry, ...])


def text(value: Any) -> str:
    """The JSON text of a value, keys sorted."""
    return canonical(value).decode()


def time_of(at: datetime | None) -> str | None:
    """A time as text, None as None."""
    return None if at is None else iso(at)


def at_of(kept: str | None) -> datetime | None:
    """A time from its text."""
    return None if kept is None else parse(kept)


def version_of(row: Row) -> Version:
    """A version from the columns of `sql/artifacts.sql`."""
    return Version(
        artifact=row[0], number=row[1], kind=row[2], digest=row[3], uri=row[4], table_version=row[5], schema=row[6], value=row[7],
        rows=row[8], size_bytes=row[9], meta=msgspec.json.decode(row[10]), created_at=parse(row[11]), attempt=row[12], head=bool(row[13]),
    )  # fmt: skip


def run_values(run: Run) -> Values:
    """A run as columns."""
    return {
        "id": run.id, "project": run.project, "target": run.target, "command": run.command, "started_at": iso(run.started_at),
        "ended_at": time_of(run.ended_at), "status": run.status, "settings": text(run.settings), "moves_heads": int(run.moves_heads),
        "git_commit": run.git_commit, "git_dirty": int(run.git_dirty), "host": run.host, "pid": run.pid,
        "process_started": run.process_started, "origin": run.origin,
    }  # fmt: skip


def run_of(row: Row) -> Run:
    """A run from its columns."""
    return Run(
        id=row[0], project=row[1], target=row[2], command=row[3], started_at=parse(row[4]), ended_at=at_of(row[5]), status=row[6],
        settings=msgspec.json.decode(row[7]), moves_heads=bool(row[8]), git_commit=row[9], git_dirty=bool(row[10]), host=row[11],
        pid=row[12], process_started=row[13], origin=row[14],
    )  # fmt: skip


def parts_values(parts: KeyParts) -> Values:
    """What a cache key was made of, under the digest of its own content."""
    kept = canonical(parts)
    return {"digest": of_bytes(kept), "parts": kept.decode()}


def step_values(step: Step, parts: Value) -> Values:
    """A step as columns; `parts` is the digest of its key parts."""
    return {
        "run": step.run, "name": step.name, "part": step.part, "stage": step.stage, "status": step.status, "why": step.why,
        "cache_key": step.cache_key, "key_parts": parts, "result": step.result, "started_at": time_of(step.started_at),
        "ended_at": time_of(step.ended_at),
    }  # fmt: skip


def step_of(row: Row) -> Step:
    """A step from its columns."""
    return Step(
        run=row[0], name=row[1], part=row[2], stage=row[3], status=row[4], why=row[5], cache_key=row[6],
        key_parts=None if row[7] is None else _parts.decode(row[7]), result=row[8], started_at=at_of(row[9]), ended_at=at_of(row[10]),
    )  # fmt: skip


def attempt_values(attempt: Attempt) -> Values:
    """An attempt as columns."""
    usage = attempt.usage
    return {
        "id": attempt.id, "run": attempt.run, "step": attempt.step, "part": attempt.part, "number": attempt.number,
        "fence": attempt.fence, "started_at": iso(attempt.started_at), "ended_at": time_of(attempt.ended_at), "status": attempt.status,
        "cause": attempt.cause, "message": attempt.message, "log": attempt.log, "wall_s": usage.wall_s, "cpu_s": usage.cpu_s,
        "peak_bytes": usage.peak_bytes, "energy_joules": usage.energy_joules, "energy_basis": usage.energy_basis,
        "cost_usd": usage.cost_usd,
    }  # fmt: skip


def attempt_of(row: Row) -> Attempt:
    """An attempt from its columns."""
    return Attempt(
        id=row[0], run=row[1], step=row[2], part=row[3], number=row[4], fence=row[5], started_at=parse(row[6]), ended_at=at_of(row[7]),
        status=row[8], cause=row[9], message=row[10], log=row[11], usage=usage_of(row[12:]),
    )  # fmt: skip


def usage_of(row: Row) -> Usage:
    """What an attempt took, from its columns."""
    return Usage(wall_s=row[0], cpu_s=row[1], peak_bytes=row[2], energy_joules=row[3], energy_basis=row[4], cost_usd=row[5])


def noted_values(attempt: str, position: int, noted: Noted) -> Values:
    """One thing said, as columns: a metric's number by itself, anything else as JSON."""
    metric = noted.what == "metric"
    return {
        "attempt": attempt, "position": position, "what": noted.what, "name": noted.name, "at_step": noted.at_step,
        "number": _number(noted.value) if metric else None, "value": None if metric else text(noted.value),
    }  # fmt: skip


def noted_of(row: Row) -> Noted:
    """One thing said, from its columns (a metric without a number is not-a-number)."""
    value = (math.nan if row[3] is None else row[3]) if row[0] == "metric" else msgspec.json.decode(row[4])
    return Noted(what=row[0], name=row[1], at_step=row[2], value=value)


def _number(value: float | str | None) -> float | None:
    """A metric's number; `"nan"` and `"inf"` are how those come through JSON, and not-a-number is kept as none."""
    return None if value is None or math.isnan(float(value)) else float(value)


def verdict_values(verdict: Verdict) -> Values:
    """A verdict as columns."""
    return {
        "check_name": verdict.check, "check_version": verdict.check_version, "model": verdict.model,
        "model_version": verdict.model_version, "passed": int(verdict.passed), "promotes": verdict.promotes, "at": iso(verdict.at),
        "attempt": verdict.attempt,
    }  # fmt: skip


def verdict_of(row: Row) -> Verdict:
    """A verdict from its columns."""
    return Verdict(
        check=row[0], check_version=row[1], model=row[2], model_version=row[3], passed=bool(row[4]), promotes=row[5],
        at=parse(row[6]), attempt=row[7],
    )  # fmt: skip


def promotion_values(promotion: Promotion) -> Values:
    """A move of an alias as columns."""
    return {
        "model": promotion.model, "alias": promotion.alias, "version": promotion.version, "before": promotion.before,
        "moved_by": promotion.by, "reason": promotion.reason, "at": iso(promotion.at), "check_name": promotion.check,
        "check_version": promotion.check_version, "actor": promotion.actor,
    }  # fmt: skip


def promotion_of(row: Row) -> Promotion:
    """A move of an alias from its columns."""
    return Promotion(
        model=row[0], alias=row[1], version=row[2], before=row[3], by=row[4], reason=row[5], at=parse(row[6]), check=row[7],
        check_version=row[8], actor=row[9],
    )  # fmt: skip


def lease_of(row: Row) -> Lease:
    """A lease from its columns."""
    return Lease(name=row[0], holder=row[1], fence=row[2], expires_at=parse(row[3]))


def event_values(event: Event) -> Values:
    """An event as columns."""
    return {"kind": event.kind, "subject": event.subject, "at": iso(event.at), "data": text(event.data)}


def event_of(row: Row) -> Event:
    """An event from its columns (the first is its id)."""
    return Event(kind=row[1], subject=row[2], at=parse(row[3]), data=msgspec.json.decode(row[4]))


def forecast_values(run: str, step: str, part: str, forecast: Forecast) -> Values:
    """A prediction as columns."""
    return {
        "run": run, "step": step, "part": part, "quantity": forecast.quantity, "middle": forecast.middle, "low": forecast.low,
        "high": forecast.high, "basis": forecast.basis, "samples": forecast.samples,
    }  # fmt: skip


def forecast_of(row: Row) -> Forecast:
    """A prediction from its columns."""
    return Forecast(quantity=row[0], middle=row[1], low=row[2], high=row[3], basis=row[4], samples=row[5])


def entries_of(kept: str) -> tuple[Entry, ...]:
    """What a source held, from its JSON."""
    return _entries.decode(kept)


def replaced(promotion: Promotion, *, before: int | None) -> Promotion:
    """The move as the record has it."""
    return msgspec.structs.replace(promotion, before=before)
