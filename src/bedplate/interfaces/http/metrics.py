"""Prometheus metrics: one registry of our own, so that two servers in one process do not mix.

Counted where it happens: requests by service and status, and latency. Read when scraped, from the objects that know: predictions
written, waiting and dropped, versions, swaps, load failures. `process_*` are the client library's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.stages.deploy.deployment import Active, LoadedModel
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Recorder

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Metrics:
    """What a server counts, and how it is read."""

    def __init__(self, holder: Holder, recorder: Recorder, project: str, version: str) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter("bedplate_requests", "Requests answered.", ("service", "status"), registry=self._registry)
        self._latency = Histogram(
            "bedplate_request_seconds",
            "Time from request to reply.",
            ("service",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._predictions = Counter("bedplate_predictions", "Rows predicted.", ("service",), registry=self._registry)
        self._by_status: dict[tuple[str, int], Counter] = {}
        self._by_service: dict[str, tuple[Histogram, Counter]] = {}
        ProcessCollector(registry=self._registry)
        self._registry.register(_Serving(holder, recorder, project, version))

    def request(self, service: str, status: int, seconds: float | None = None, rows: int = 0) -> None:
        """Count one answered request, `seconds` long (None: it never was one of the service's own), that predicted `rows` rows."""
        counter = self._by_status.get((service, status))
        if counter is None:
            counter = self._by_status[service, status] = self._requests.labels(service, str(status))
        counter.inc()
        if seconds is None:
            return
        pair = self._by_service.get(service)
        if pair is None:
            pair = self._by_service[service] = (self._latency.labels(service), self._predictions.labels(service))
        pair[0].observe(seconds)
        if rows:
            pair[1].inc(rows)

    def text(self) -> bytes:
        """Every metric, in Prometheus' text form."""
        return generate_latest(self._registry)


class _Serving(Collector):
    """Metrics that are read, not counted."""

    def __init__(self, holder: Holder, recorder: Recorder, project: str, version: str) -> None:
        self._holder = holder
        self._recorder = recorder
        self._project = project
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """The state of the server now."""
        current = self._holder.current
        build = InfoMetricFamily("bedplate_server", "What serves.", value={"project": self._project, "version": self._version})
        yield build
        models = GaugeMetricFamily("bedplate_model_version", "Version number that each model serves.", labels=("model", "version"))
        for name, model in current.models.items():
            if isinstance(model, LoadedModel):
                models.add_metric((name, str(model.version.number)), 1)
        yield models
        ready = GaugeMetricFamily("bedplate_service_ready", "1 where the service answers, 0 where it waits.", labels=("service",))
        for name, service in current.services.items():
            ready.add_metric((name,), 1 if isinstance(service, Active) else 0)
        yield ready
        yield CounterMetricFamily("bedplate_swaps", "Times that new versions took over.", value=self._holder.swaps)
        yield CounterMetricFamily("bedplate_load_failures", "Times that a version failed to load.", value=self._holder.loader.failures)
        yield GaugeMetricFamily("bedplate_log_waiting", "Predictions that wait to be logged.", value=self._recorder.waiting)
        yield CounterMetricFamily("bedplate_log_written", "Predictions logged.", value=self._recorder.written)
        yield CounterMetricFamily("bedplate_log_dropped", "Predictions not logged: the queue was full.", value=self._recorder.dropped)
