"""Prometheus metrics: one registry of our own, so that two servers in one process do not mix.

Counted where it happens, in plain numbers: requests by service and status, latency, rows. Everything else is read when it is scraped, from
the objects that know: predictions written, waiting and dropped, versions, swaps, load failures. `process_*` are the client library's own.
Several processes that serve together each count for themselves; `Counted` is what one says of itself, and the one that is scraped adds
them up.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from bedplate.stages.deploy.deployment import Active, LoadedModel
from bedplate.stages.deploy.holder import Holder
from bedplate.stages.deploy.recorder import Recorder

CONTENT_TYPE: Final = b"text/plain; version=0.0.4; charset=utf-8"
_BUCKETS_S: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
_CPU: Final = "process_cpu_seconds_total"
_LEAST: Final = frozenset({"process_start_time_seconds", "process_max_fds"})
"""Of several processes, the least says more than the sum."""
_NO_SERVICE: Final = "none of them"
"""The label of requests that named no service of the project: a series with an empty label is one without it."""
_LE: Final = (*map(str, _BUCKETS_S), "+Inf")


class Tally(msgspec.Struct):
    """What was asked of one service: answers by status, how long they took (by bucket, and in all), rows predicted."""

    statuses: dict[int, int] = msgspec.field(default_factory=dict)
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(_BUCKETS_S) + 1))
    seconds: float = 0.0
    timed: int = 0
    rows: int = 0

    def add(self, other: Tally) -> None:
        """Count what another process counted, too."""
        for status, count in other.statuses.items():
            self.statuses[status] = self.statuses.get(status, 0) + count
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.seconds += other.seconds
        self.timed += other.timed
        self.rows += other.rows


class Counted(msgspec.Struct):
    """What one process has counted so far."""

    tallies: dict[str, Tally] = msgspec.field(default_factory=dict)
    waiting: int = 0
    written: int = 0
    dropped: int = 0
    load_failures: int = 0
    process: dict[str, float] = msgspec.field(default_factory=dict)
    tried: dict[str, int] = msgspec.field(default_factory=dict)
    """Requests to versions that are tried: `late@7 canary answered`."""
    again: dict[str, int] = msgspec.field(default_factory=dict)
    """Requests to services with a cache, and those that were sent again: `hit weigh`, `miss weigh`, `repeated weigh`."""
    kept: int = 0
    kept_bytes: int = 0
    held: int = 0
    """Threads that are held by calls that were given up."""
    deaths: dict[str, int] = msgspec.field(default_factory=dict)
    """Processes that predicted for a model and died, by its name."""

    def add(self, other: Counted) -> None:
        """Count what another process counted, too."""
        for name, tally in other.tallies.items():
            self.tallies.setdefault(name, Tally()).add(tally)
        self.waiting += other.waiting
        self.written += other.written
        self.dropped += other.dropped
        self.load_failures += other.load_failures
        self.kept += other.kept
        self.kept_bytes += other.kept_bytes
        self.held += other.held
        for mine, theirs in ((self.tried, other.tried), (self.again, other.again), (self.deaths, other.deaths)):
            for name, count in theirs.items():
                mine[name] = mine.get(name, 0) + count
        for name, value in other.process.items():
            known = self.process.get(name)
            self.process[name] = value if known is None else min(known, value) if name in _LEAST else known + value

    def ended(self) -> Counted:
        """What stays of it once its process has ended."""
        process = {_CPU: self.process[_CPU]} if _CPU in self.process else {}
        written, dropped, failures = self.written, self.dropped, self.load_failures
        return Counted(self.tallies, 0, written, dropped, failures, process, self.tried, self.again, deaths=self.deaths)


class Metrics:
    """What a server counts, and how it is read.

    `others` gives what the processes beside this one have counted, `before` is what one counted that was here before this one.
    """

    def __init__(self, holder: Holder, recorder: Recorder, project: str, version: str) -> None:
        self.others: Callable[[], Sequence[Counted]] = tuple
        self._holder = holder
        self._recorder = recorder
        self._tallies: dict[str, Tally] = {}
        self._tried: dict[str, int] = {}
        self._again: dict[str, int] = {}
        self.answers: Callable[[], tuple[int, int]] = lambda: (0, 0)
        """How many answers are kept to be given again, and their bytes."""
        self.held: Callable[[], int] = lambda: 0
        """How many threads are held by calls that were given up."""
        self._lock = threading.Lock()
        self.before = Counted()
        self._registry = CollectorRegistry()
        self._process = ProcessCollector(registry=None)
        self._registry.register(_Serving(holder, self.all, project, version))

    def request(self, service: str, status: int, seconds: float | None = None, rows: int = 0) -> None:
        """Count one answered request, `seconds` long (None: it never was one of the service's own), that predicted `rows` rows."""
        tally = self._tallies.get(service)
        if tally is None:
            tally = self._tallies[service] = Tally()
        statuses = tally.statuses
        statuses[status] = statuses.get(status, 0) + 1
        if seconds is not None:
            tally.buckets[bisect_left(_BUCKETS_S, seconds)] += 1
            tally.seconds += seconds
            tally.timed += 1
            tally.rows += rows

    def tried(self, name: str) -> None:
        """Count a request to a version that is tried; `late@7 canary answered`."""
        with self._lock:
            self._tried[name] = self._tried.get(name, 0) + 1

    def again(self, outcome: str, service: str) -> None:
        """Count a request that could be answered from what was kept: a `hit` or a `miss` of a cache, or one that was sent again."""
        name = f"{outcome} {service}"
        self._again[name] = self._again.get(name, 0) + 1

    def counted(self) -> Counted:
        """What this process has counted so far, and what another did in its place before it."""
        recorder, failures = self._recorder, self._holder.loader.failures
        process = process_now(self._process)
        now = Counted(
            self._tallies,
            recorder.waiting,
            recorder.written,
            recorder.dropped,
            failures,
            process,
            dict(self._tried),
            dict(self._again),
            *self.answers(),
            self.held(),
            dict(self._holder.deaths),
        )
        total = Counted()
        total.add(self.before)
        total.add(now)
        return total

    def all(self) -> Counted:
        """What all processes have counted so far."""
        total = Counted()
        for one in (self.counted(), *self.others()):
            total.add(one)
        return total

    def text(self) -> bytes:
        """Every metric, in Prometheus' text form."""
        return generate_latest(self._registry)


class _Serving(Collector):
    """Metrics of the server."""

    def __init__(self, holder: Holder, counted: Callable[[], Counted], project: str, version: str) -> None:
        self._holder = holder
        self._counted = counted
        self._project = project
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """The state of the server now."""
        yield from told(self._counted())
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


def process_now(collector: ProcessCollector) -> dict[str, float]:
    """What the client library says of this process."""
    return {sample.name: sample.value for metric in collector.collect() for sample in metric.samples}


def told(counted: Counted) -> Iterator[Metric]:
    """What processes have counted, as metrics."""
    yield from _asked(counted)
    yield from _processes(counted)
    yield from _again(counted)
    tried = CounterMetricFamily(
        "bedplate_rollout_requests",
        "Requests to versions that are tried: answered, fell back to production, asked as shadow, passed over.",
        labels=("version", "alias", "outcome"),
    )
    for name, count in counted.tried.items():
        tried.add_metric(name.split(" ", 2), count)
    yield tried
    yield CounterMetricFamily("bedplate_load_failures", "Times that a version failed to load.", value=counted.load_failures)
    yield GaugeMetricFamily("bedplate_log_waiting", "Predictions that wait to be logged.", value=counted.waiting)
    yield CounterMetricFamily("bedplate_log_written", "Predictions logged.", value=counted.written)
    yield CounterMetricFamily("bedplate_log_dropped", "Predictions not logged: the queue was full.", value=counted.dropped)


def _asked(counted: Counted) -> Iterator[Metric]:
    requests = CounterMetricFamily("bedplate_requests", "Requests answered.", labels=("service", "status"))
    latency = HistogramMetricFamily("bedplate_request_seconds", "Time from request to reply.", labels=("service",))
    rows = CounterMetricFamily("bedplate_predictions", "Rows predicted.", labels=("service",))
    for name, tally in counted.tallies.items():
        service = name or _NO_SERVICE
        for status, count in tally.statuses.items():
            requests.add_metric((service, str(status)), count)
        if tally.timed and name:
            buckets = list(zip(_LE, map(float, accumulate(tally.buckets)), strict=True))
            latency.add_metric((service,), buckets=buckets, sum_value=tally.seconds)
            rows.add_metric((service,), tally.rows)
    yield from (requests, latency, rows)


def _again(counted: Counted) -> Iterator[Metric]:
    cache = CounterMetricFamily("bedplate_cache_requests", "Requests to services with a cache.", labels=("service", "outcome"))
    repeated = CounterMetricFamily(
        "bedplate_repeated_requests", "Requests that were sent again, and not worked out again.", labels=("service",)
    )
    for name, count in counted.again.items():
        outcome, service = name.split(" ", 1)
        if outcome == "repeated":
            repeated.add_metric((service,), count)
        else:
            cache.add_metric((service, outcome), count)
    yield from (cache, repeated)
    yield GaugeMetricFamily("bedplate_kept_answers", "Answers that are kept to be given again.", value=counted.kept)
    yield GaugeMetricFamily("bedplate_kept_answer_bytes", "Memory that they take.", value=counted.kept_bytes)
    yield GaugeMetricFamily("bedplate_held_threads", "Threads that are held by calls that never returned.", value=counted.held)
    deaths = CounterMetricFamily("bedplate_model_process_deaths", "Processes that predicted for a model and died.", labels=("model",))
    for name, count in counted.deaths.items():
        deaths.add_metric((name,), count)
    yield deaths


def _processes(counted: Counted) -> Iterator[Metric]:
    """What the client library says of a process, of all of them together."""
    for metric in ProcessCollector(registry=None).collect():
        (name,) = (sample.name for sample in metric.samples)
        if name == _CPU:
            yield CounterMetricFamily(metric.name, metric.documentation, value=counted.process.get(name, 0.0))
        elif name in counted.process:
            yield GaugeMetricFamily(metric.name, metric.documentation, value=counted.process[name])
