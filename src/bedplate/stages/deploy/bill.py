"""The bill of a server: what its time, its work and its energy come to, hour by hour, and whether the budget still bears it.

A server costs its target's price as long as it is up, whether anybody asks or not: the time in which no processor worked for it is its
idle time. Energy is that of the processor (RAPL where it is readable, else `assumed`), by the CPU time of this process.
Money for the next beat and for a stop is set aside before it is spent, as runs do, so that runs and servers share one budget.

Limits: an accelerator that serves is on no meter here; what the machine draws while it idles is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.spending import Spent
from bedplate.compute.meter import Meter
from bedplate.core.clock import Clock, iso
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.core.records import Event
from bedplate.pipeline.spending import NEXT, STOPPED, lacking

_STOP_S: Final = 10.0
"""What a server that is stopped may take."""


class Bill:
    """One server's; `cpu_s` says the CPU seconds that its process took so far."""

    def __init__(
        self, catalog: Catalog, project: Project, *, url: str, price: float, clock: Clock, interval_s: float, meter: Meter,
        cpu_s: Callable[[], float],
    ) -> None:  # fmt: skip
        self.interval_s = interval_s
        self._catalog = catalog
        self._project = project
        self._price = price
        self._clock = clock
        self._meter = meter
        self._cpu_s = cpu_s
        now = clock.now()
        self._spender = f"{url} since {iso(now)}"
        self._last = (clock.monotonic(), cpu_s(), meter.read())
        self._row = Spent(spender=self._spender, hour=_hour(now), kind="service", held_until=now)

    def open(self) -> None:
        """Set aside the first beat's money. Raises Refused where there is too little."""
        if why := self._write():
            self.close()
            raise Refused(f"the budget of {self._project.name} does not allow this", why=why, next=NEXT)

    def beat(self) -> str:
        """Write down what the time since the last beat came to; why to stop, where the budget does not bear the next one."""
        why = self._write()
        if not why:
            return ""
        self._catalog.events.add(Event(kind=STOPPED, subject=self._spender, at=self._clock.now(), data={"why": why}))
        return f"the budget of {self._project.name} allows no more: {why}"

    def close(self) -> None:
        """It stops: what it took is written, nothing is set aside any more."""
        self._tick()
        self._catalog.spending.put(msgspec.structs.replace(self._row, held_usd=0.0))

    def _write(self) -> str:
        self._tick()
        return self._catalog.together(self._set_aside)

    def _set_aside(self) -> str:
        """The row as it stands, with the next beat's money where there is any; else why not. Inside a transaction."""
        now = self._clock.now()
        stop = self._price / 3600 * _STOP_S
        need = self._price / 3600 * self.interval_s + stop
        until = now + timedelta(seconds=2 * self.interval_s + _STOP_S)
        self._catalog.spending.put(msgspec.structs.replace(self._row, held_usd=stop, held_until=until))
        if why := lacking(self._catalog, self._project, now, need, self._spender):
            return why
        self._catalog.spending.put(msgspec.structs.replace(self._row, held_usd=need, held_until=until))
        return ""

    def _tick(self) -> None:
        """Add what the time since the last beat came to; a new hour begins a new row."""
        was_at, was_cpu, was_read = self._last
        at, cpu, reading = self._last = (self._clock.monotonic(), self._cpu_s(), self._meter.read())
        hour = _hour(self._clock.now())
        if hour != self._row.hour:
            self._catalog.spending.put(msgspec.structs.replace(self._row, held_usd=0.0))
            self._row = Spent(spender=self._spender, hour=hour, kind="service", held_until=self._clock.now())
        joules, basis = self._meter.energy(was_read, reading, cpu - was_cpu)
        self._row = msgspec.structs.replace(
            self._row, usd=self._row.usd + (at - was_at) / 3600 * self._price, up_s=self._row.up_s + at - was_at,
            busy_s=self._row.busy_s + cpu - was_cpu, energy_joules=self._row.energy_joules + joules, energy_basis=basis,
        )  # fmt: skip


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
