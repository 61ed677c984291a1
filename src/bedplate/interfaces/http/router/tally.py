"""Tally: what a router counts, and how Prometheus reads it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .member import Member

_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
_LE: Final = (*map(str, _BUCKETS_S), "+Inf")


class Tally:
    """Plain numbers; `late` and `answered` are what the scale looks at."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.refused: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()
        self.scaled: Counter[str] = Counter()
        self.buckets = [0] * (len(_BUCKETS_S) + 1)
        self.seconds = 0.0
        self.came = self.answered = self.late = 0

    def answer(self, status: int, seconds: float, late_s: float) -> None:
        """Count an answer that a replica gave."""
        self.statuses[status] += 1
        self.buckets[bisect_left(_BUCKETS_S, seconds)] += 1
        self.seconds += seconds
        self.answered += 1
        if 0.0 < late_s < seconds:
            self.late += 1

    def refuse(self, status: int, why: str) -> None:
        """Count a request that no replica answered."""
        self.statuses[status] += 1
        self.refused[why] += 1


class Routed(Collector):
    """Metrics of the router."""

    def __init__(self, tally: Tally, members: Sequence[Member], held: Callable[[], int]) -> None:
        self._tally = tally
        self._members = members
        self._held = held

    def collect(self) -> Iterator[Metric]:
        """What it counted, and how the replicas stand."""
        tally = self._tally
        answers = CounterMetricFamily("bedplate_router_requests", "Requests that the router answered.", labels=("status",))
        for status, count in tally.statuses.items():
            answers.add_metric((str(status),), count)
        yield answers
        taken = HistogramMetricFamily("bedplate_router_request_seconds", "Time from a request to the beginning of a replica's answer.")
        buckets = list(zip(_LE, map(float, accumulate(tally.buckets)), strict=True))
        taken.add_metric((), buckets=buckets, sum_value=tally.seconds)
        yield taken
        yield _by("bedplate_router_refused", "Requests that no replica answered.", "why", tally.refused)
        yield _by("bedplate_router_retries", "Requests that went to another replica.", "why", tally.retried)
        yield _by("bedplate_router_scalings", "Times that replicas were started or drained.", "direction", tally.scaled)
        yield GaugeMetricFamily("bedplate_router_held", "Requests that wait until a replica is there.", value=self._held())
        yield from self._replicas()

    def _replicas(self) -> Iterator[Metric]:
        ready = GaugeMetricFamily("bedplate_replica_ready", "1 where the replica gets requests.", labels=("replica", "zone", "region"))
        running = GaugeMetricFamily("bedplate_replica_running", "Requests that a replica has in hand.", labels=("replica",))
        failures = GaugeMetricFamily("bedplate_replica_failures", "Failures of a replica in a row.", labels=("replica",))
        for one in self._members:
            standing = one.standing
            ready.add_metric((one.name, standing.place.zone, standing.place.region), standing.state in ("ready", "waiting"))
            running.add_metric((one.name,), standing.running)
            failures.add_metric((one.name,), standing.failures)
        yield from (ready, running, failures)


def _by(name: str, help: str, label: str, counts: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, help, labels=(label,))
    for value, count in counts.items():
        family.add_metric((value,), count)
    return family
