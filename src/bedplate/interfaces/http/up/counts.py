"""Prometheus metrics of the platform: what was asked, how long it took, what waits. Read behind the gate."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.interfaces.http.door.endpoint import Asks, Desk, Endpoint, Reply, on_server
from bedplate.interfaces.http.door.lanes import Lanes

_BUCKETS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0, 30.0)
_TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"


class Counts(Collector):
    """What a server counts; on the event loop, so plain numbers do. They are made into metrics when somebody looks."""

    def __init__(self, lanes: Lanes, version: str) -> None:
        self._registry = CollectorRegistry()
        self._requests: dict[tuple[str, int], int] = {}
        self._seconds: dict[str, list[int]] = {}
        self._total_s: dict[str, float] = {}
        ProcessCollector(registry=self._registry)
        self._registry.register(self)
        self._registry.register(_Waiting(lanes, version))

    def request(self, action: str, status: int, seconds: float) -> None:
        """Count one answered request; `action` is empty for what came to no endpoint."""
        key = (action, status)
        self._requests[key] = self._requests.get(key, 0) + 1
        found = self._seconds.get(action)
        if found is None:
            found = self._seconds[action] = [0] * (len(_BUCKETS_S) + 1)
            self._total_s[action] = 0.0
        found[bisect_left(_BUCKETS_S, seconds)] += 1
        self._total_s[action] += seconds

    def collect(self) -> Iterator[Metric]:
        """What was counted until now."""
        requests = CounterMetricFamily("bedplate_up_requests", "Requests answered.", labels=("action", "status"))
        for (action, status), count in list(self._requests.items()):
            requests.add_metric((action, str(status)), count)
        yield requests
        seconds = HistogramMetricFamily("bedplate_up_request_seconds", "Time from request to reply.", labels=("action",))
        for action, counts in list(self._seconds.items()):
            limits = [*(str(limit) for limit in _BUCKETS_S), "+Inf"]
            seconds.add_metric((action,), list(zip(limits, accumulate(counts), strict=True)), self._total_s[action])
        yield seconds

    def register(self, collector: Collector) -> None:
        """Show what somebody else counts, too."""
        self._registry.register(collector)

    def endpoint(self) -> Endpoint:
        """`GET /metrics`."""

        def text(_desk: Desk, _asked: Asks) -> Reply:
            return Reply(body=generate_latest(self._registry), media_type=_TEXT)

        return Endpoint("GET", "/metrics", Asks, "metrics.read", on_server, text)


class _Waiting(Collector):
    """What is read, not counted."""

    def __init__(self, lanes: Lanes, version: str) -> None:
        self._lanes = lanes
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """The server now."""
        lanes = self._lanes
        yield InfoMetricFamily("bedplate_up", "What answers.", value={"version": self._version})
        waiting = GaugeMetricFamily("bedplate_up_waiting", "Requests that wait, by what answers them.", labels=("lane",))
        for name, count in (("write", lanes.writer.waiting), ("read", lanes.readers.waiting), ("bytes", lanes.bytes.waiting)):
            waiting.add_metric((name,), count)
        yield waiting
        yield CounterMetricFamily("bedplate_up_writes", "Writes that were committed or refused.", value=lanes.writer.written)
        yield CounterMetricFamily("bedplate_up_commits", "Transactions of the writer.", value=lanes.writer.commits)
