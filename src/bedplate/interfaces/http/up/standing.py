"""Prometheus metrics of the record: runs, steps, due work, drift, money, services, webhooks.

Choices: read at a scrape, and kept for ten seconds, so that many scrapers cost no more than one. A record that cannot be read fails no
scrape: `bedplate_record_readable` is 0 then, and the rest is left out. The rules and the dashboard in `bedplate/monitoring` stand on these
names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.catalog.catalog import Catalog
from bedplate.catalog.standing import Standing, standing
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError

_KEPT_S: Final = 10.0


class StandingCollector(Collector):
    """What the record says, for a registry of Prometheus."""

    def __init__(self, catalog: Catalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock
        self._read_at = float("-inf")
        self._last: Standing | None = None

    def describe(self) -> list[Metric]:
        """Nothing is read when it is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """How everything stands."""
        found = self._read()
        yield GaugeMetricFamily("bedplate_record_readable", "1 where the record can be read.", value=0 if found is None else 1)
        if found is not None:
            yield from _families(found)

    def close(self) -> None:
        """Let go of the record."""
        self._catalog.close()

    def _read(self) -> Standing | None:
        if self._clock.monotonic() - self._read_at >= _KEPT_S:
            try:
                self._last = standing(self._catalog.database, self._clock.now())
            except BedplateError:
                self._last = None
            self._read_at = self._clock.monotonic()
        return self._last


def _families(found: Standing) -> Iterator[Metric]:
    yield _by2("bedplate_runs_day", "Runs begun in the last 24 hours.", ("origin", "status"), found.runs)
    yield _by("bedplate_runs_running", "Runs that go on.", "origin", found.running)
    yield _by("bedplate_runs_oldest_seconds", "Age of the oldest run that goes on.", "origin", found.oldest_s)
    yield _by("bedplate_steps_day", "Steps of runs begun in the last 24 hours.", "status", found.steps)
    yield _by("bedplate_due_day", "Decisions of due work in the last 24 hours.", "status", found.due)
    if found.due_last_s is not None:
        yield GaugeMetricFamily("bedplate_due_last_seconds", "Time since due work was last decided.", value=found.due_last_s)
    yield _by("bedplate_drift_seconds", "Time since drift was found in what a service got.", "service", found.drift_s)
    yield _by("bedplate_spent_usd_day", "US dollars spent in the last 24 hours.", "kind", found.spent_usd)
    yield _by("bedplate_held_usd", "US dollars set aside for what comes next.", "kind", found.held_usd)
    yield _by2("bedplate_service_silent_seconds", "Time since a server gave a sign of life.", ("service", "url"), found.silent_s)
    yield _by("bedplate_webhook_deliveries", "Deliveries to webhooks.", "status", found.deliveries)


def _by(name: str, help: str, label: str, values: Mapping[str, float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=(label,))
    for key, value in values.items():
        family.add_metric((key,), value)
    return family


def _by2(name: str, help: str, labels: tuple[str, str], values: Mapping[tuple[str, str], float]) -> Metric:
    family = GaugeMetricFamily(name, help, labels=labels)
    for keys, value in values.items():
        family.add_metric(keys, value)
    return family
