"""How everything stands, in numbers: runs, steps, due work, drift, money, services, webhooks. For dashboards and alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import msgspec

from bedplate.core.clock import iso, parse
from bedplate.core.records import Record

from .database import Database
from .runs import Runs
from .services import Services

DAY: Final = timedelta(hours=24)


class Standing(Record, frozen=True, kw_only=True):
    """Counts are of the last 24 hours unless said otherwise; ages are in seconds, money in US dollars.

    `runs` by (origin, status); `running` and `oldest_s` by origin; `drift_s` is how long ago drift was found, by service; `silent_s` how
    long a server has given no sign of life, by (service, url).
    """

    runs: dict[tuple[str, str], int] = msgspec.field(default_factory=dict)
    running: dict[str, int] = msgspec.field(default_factory=dict)
    oldest_s: dict[str, float] = msgspec.field(default_factory=dict)
    steps: dict[str, int] = msgspec.field(default_factory=dict)
    due: dict[str, int] = msgspec.field(default_factory=dict)
    due_last_s: float | None = None
    drift_s: dict[str, float] = msgspec.field(default_factory=dict)
    spent_usd: dict[str, float] = msgspec.field(default_factory=dict)
    held_usd: dict[str, float] = msgspec.field(default_factory=dict)
    silent_s: dict[tuple[str, str], float] = msgspec.field(default_factory=dict)
    deliveries: dict[str, int] = msgspec.field(default_factory=dict)


def standing(database: Database, now: datetime) -> Standing:
    """How everything stands now."""
    return database.snapshot(lambda: _standing(database, now))


def _standing(database: Database, now: datetime) -> Standing:
    since = iso(now - DAY)
    going = database.rows("standing_running")
    spent = database.rows("standing_spent", since=since)
    last = database.value("standing_due_last")
    attempts_usd = Runs(database).cost_since(now - DAY)
    return Standing(
        runs={(row[0], row[1]): row[2] for row in database.rows("standing_runs", since=since)},
        running={row[0]: row[1] for row in going},
        oldest_s={row[0]: _ago(row[2], now) for row in going},
        steps=dict(database.rows("standing_steps", since=since)),
        due=dict(database.rows("standing_due", since=since)),
        due_last_s=None if last is None else _ago(last, now),
        drift_s={row[0]: _ago(row[1], now) for row in database.rows("standing_drift")},
        spent_usd={"attempt": attempts_usd, **{row[0]: float(row[1]) for row in spent if row[0] != "attempt"}},
        held_usd={row[0]: float(row[2]) for row in spent},
        silent_s={(one.name, one.url): max(0.0, (now - one.heartbeat).total_seconds()) for one in Services(database).list()},
        deliveries=dict(database.rows("standing_deliveries")),
    )


def _ago(at: str, now: datetime) -> float:
    return max(0.0, (now - parse(at)).total_seconds())
