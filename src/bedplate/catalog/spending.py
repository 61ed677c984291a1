"""Spending on record: what is being spent now, and what is set aside for what comes next.

What an ended attempt cost is with the attempt. Here is what is in no attempt's cost: what running attempts have cost since (of one that
was lost it stays, for the money is gone) and what services cost, hour by hour. Money is set aside before it is spent, in the transaction
that looks whether there is any: two processes cannot both spend the last of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from bedplate.core.clock import iso
from bedplate.core.records import Basis, Record

from .database import Database


class Spent(Record, frozen=True, kw_only=True):
    """What a run, an attempt since `hour`, or a service in the hour that begins then, spends.

    `usd` is spent, `held_usd` set aside until `held_until`. `up_s` seconds it was there, `busy_s` CPU seconds it worked.
    """

    spender: str
    hour: datetime
    kind: Literal["run", "attempt", "service"]
    usd: float = 0.0
    held_usd: float = 0.0
    held_until: datetime
    up_s: float = 0.0
    busy_s: float = 0.0
    energy_joules: float = 0.0
    energy_basis: Basis = "unknown"


class Spending:
    """What goes out of a budget beside the attempts that have ended."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, spent: Spent) -> None:
        """A spender's row as it stands now."""
        self._database.run(
            "spending_put", spender=spent.spender, hour=iso(spent.hour), kind=spent.kind, usd=spent.usd, held_usd=spent.held_usd,
            held_until=iso(spent.held_until), up_s=spent.up_s, busy_s=spent.busy_s, energy_joules=spent.energy_joules,
            energy_basis=spent.energy_basis,
        )  # fmt: skip

    def settle(self, run: str) -> None:
        """A run has ended: what its ended attempts carry themselves is dropped here."""
        self._database.run("spending_settle", run=run)

    def since(self, since: datetime) -> float:
        """What was spent since then, with what ended attempts cost, in US dollars."""
        ended = float(self._database.value("cost_since", since=iso(since)))
        return ended + float(self._database.value("spent_beside", since=iso(since)))

    def held(self, now: datetime, beside: str = "") -> float:
        """What all spenders but one have set aside and may still spend, in US dollars."""
        return float(self._database.value("held_beside", spender=beside, now=iso(now)))
