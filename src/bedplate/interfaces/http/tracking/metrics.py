"""Metrics of the tracking API: a curve's history a page at a time, of several runs at once, or as a sample of so many points."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bedplate.catalog.tracking.curves import MOST_PAGE, MOST_RUNS, MOST_SAMPLED
from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, invalid, missing, on_server

from .words import AsksRun, Int64, limit, on_run, page


class GetHistory(AsksRun, frozen=True, kw_only=True):
    """A curve of a run."""

    metric_key: str
    max_results: int = MOST_PAGE
    page_token: str = ""


class GetBulk(Asks, frozen=True, kw_only=True):
    """A curve of several runs."""

    run_id: list[str] = msgspec.field(default_factory=list)
    metric_key: str
    max_results: int = MOST_PAGE


class GetSampled(Asks, frozen=True, kw_only=True):
    """A sample of a curve of several runs, between two steps where they are given."""

    run_ids: list[str] = msgspec.field(default_factory=list)
    metric_key: str
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: int = MOST_SAMPLED


def history(desk: Desk, asked: GetHistory) -> dict[str, Any]:
    """A page of a curve, by step, then time."""
    most = limit("max_results", asked.max_results, MOST_PAGE)
    found, token = desk.catalog.tracking.curves.history(asked.run, asked.metric_key, most, asked.page_token)
    return page("metrics", found, token)


def bulk(desk: Desk, asked: GetBulk) -> dict[str, Any]:
    """The first points of a curve of each run, run by run."""
    left = limit("max_results", asked.max_results, MOST_PAGE)
    told: list[dict[str, Any]] = []
    for run in sorted(_seen(desk, "run_id", asked.run_id)):
        if left > len(told):
            found, _ = desk.catalog.tracking.curves.history(run, asked.metric_key, left - len(told))
            told += [{**msgspec.structs.asdict(metric), "run_id": run} for metric in found]
    return {"metrics": told}


def sampled(desk: Desk, asked: GetSampled) -> dict[str, Any]:
    """Points spread over a curve of each run."""
    most = limit("max_results", asked.max_results, MOST_SAMPLED)
    if (asked.start_step is None) != (asked.end_step is None):
        raise invalid("If either 'start_step' or 'end_step' is specified, both must be")
    if asked.start_step is not None and asked.end_step is not None and asked.start_step > asked.end_step:
        raise invalid(f"'end_step' must not be below 'start_step': {asked.end_step} is below {asked.start_step}")
    told: list[dict[str, Any]] = []
    for run in _seen(desk, "run_ids", asked.run_ids):
        found = desk.catalog.tracking.curves.sampled(run, asked.metric_key, most, asked.start_step, asked.end_step)
        told += [{**msgspec.structs.asdict(metric), "run_id": run} for metric in found]
    return {"metrics": told}


def _seen(desk: Desk, field: str, runs: list[str]) -> list[str]:
    """The runs asked for, each once. Raises Fault where one is not there, or not to be seen."""
    if not 1 <= len(runs) <= MOST_RUNS:
        raise invalid(f"Invalid value for parameter '{field}': from 1 to {MOST_RUNS} runs are needed, got {len(runs)}")
    seen = desk.sees("experiment")
    for run in runs:
        experiment = desk.catalog.tracking.runs.experiment(run)
        if seen is not None and str(experiment) not in seen:
            raise missing(f"Run with id={run[:100]} not found")
    return list(dict.fromkeys(runs))


_AT: Final = "/api/2.0/mlflow/metrics"
ENDPOINTS: Final = (
    Endpoint("GET", f"{_AT}/get-history", GetHistory, "run.read", on_run, history),
    Endpoint("GET", f"{_AT}/get-history-bulk", GetBulk, "experiment.list", on_server, bulk),
    Endpoint("GET", f"{_AT}/get-history-bulk-interval", GetSampled, "experiment.list", on_server, sampled),
)
