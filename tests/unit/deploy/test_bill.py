"""The bill of a server: time, idle time and energy hour by hour, and a budget that stops it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bedplate.catalog.backends.sqlite import open_database
from bedplate.catalog.catalog import Catalog
from bedplate.catalog.export import export
from bedplate.catalog.spending import Spent
from bedplate.compute.meter import Meter
from bedplate.core.errors import Refused
from bedplate.core.project import Project
from bedplate.stages.deploy.bill import Bill
from bedplate.testing.clock import ManualClock

PRICE = 36.0
"""Dollars an hour: a cent a second."""


class Server:
    """A server that is up for as long as it is told, and works for as long as it is told."""

    def __init__(self, folder: Path, budget: str = "", clock: ManualClock | None = None, catalog: Catalog | None = None) -> None:
        self.clock = clock or ManualClock()
        self.catalog = catalog or Catalog.open(open_database(folder / "none.db", makes=False), self.clock)
        self.busy_s = 0.0
        self.bill = Bill(
            self.catalog, Project("p", budget=budget), url="http://127.0.0.1:1", price=PRICE, clock=self.clock, interval_s=5.0,
            meter=Meter(10.0, powercap=folder), cpu_s=lambda: self.busy_s,
        )  # fmt: skip

    def up(self, seconds: float, busy_s: float = 0.0) -> str:
        self.clock.forward(seconds)
        self.busy_s += busy_s
        return self.bill.beat()

    def rows(self) -> list[tuple[datetime, float, float, float, float, str]]:
        """Hour, dollars, seconds up and busy, joules, basis."""
        found = export(self.catalog.database, "spending")
        names = ("hour", "usd", "up_s", "busy_s", "energy_joules", "energy_basis")
        return list(zip(*(found[name] for name in names), strict=True))


def test_an_hour_is_a_row_with_money_idle_time_and_energy_and_its_basis(tmp_path: Path) -> None:
    """Up for 90 minutes from seven, busy for two of them: 54 dollars, and 10 W by the CPU second, assumed."""
    server = Server(tmp_path)
    for _ in range(90):
        assert server.up(60.0, 60.0 if server.busy_s < 120 else 0.0) == ""
    server.bill.close()
    first, second = server.rows()
    assert (first[0].hour, second[0].hour) == (7, 8)
    assert first[1] + second[1] == pytest.approx(54.0)
    assert first[2] + second[2] == pytest.approx(5400.0)
    assert (first[3], first[4], first[5]) == (120.0, 1200.0, "assumed")
    assert server.catalog.spending.held(server.clock.now()) == 0.0


def test_the_budget_stops_it_before_it_is_spent_and_refuses_the_next(tmp_path: Path) -> None:
    """A dollar at a cent a second; what a stop may take stays within it."""
    server = Server(tmp_path, "1 USD/day")
    server.bill.open()
    up = 0.0
    while not (why := server.up(5.0)):
        up += 5.0
        assert up < 100
    assert 80 <= up <= 90
    assert "the budget of p allows no more" in why
    server.bill.close()
    with pytest.raises(Refused):
        Server(tmp_path, "1 USD/day", server.clock, server.catalog).bill.open()
    server.clock.forward(2 * 86400.0)
    Server(tmp_path, "1 USD/day", server.clock, server.catalog).bill.open()


def test_what_others_have_set_aside_is_not_there_for_it(tmp_path: Path) -> None:
    """A run and a server share one budget."""
    server = Server(tmp_path, "1 USD/day")
    now = server.clock.now()
    server.catalog.spending.put(Spent(spender="r", hour=now, kind="run", held_usd=0.95, held_until=now + timedelta(minutes=1)))
    with pytest.raises(Refused, match="does not allow this"):
        server.bill.open()


def test_two_servers_one_after_the_other_at_one_address_are_two_rows(tmp_path: Path) -> None:
    """A restart within the hour forgets nothing."""
    first = Server(tmp_path)
    first.up(60.0)
    first.bill.close()
    second = Server(tmp_path, clock=first.clock, catalog=first.catalog)
    second.up(30.0)
    assert sorted(row[1] for row in second.rows()) == pytest.approx([0.3, 0.6])
