"""The serving cases as arrays, by kind, and what the model predicts for each with given constants.

A part knows its cases' labels, so that the fit can give every case its constants' values; `predict` turns those into quantities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bedplate.planner.facts.cases import Case, Parallel
from bedplate.planner.facts.knowledge import Knowledge, machine, model
from bedplate.planner.serving import rates as rate_room
from bedplate.planner.serving import work as work_room
from bedplate.planner.serving.disagg import Side, disaggregated
from bedplate.planner.serving.iteration import iteration
from bedplate.planner.serving.layout import layout_of, with_caches
from bedplate.planner.serving.loop import Demand, Steady, closed_loop, delays_of, prefill_chunks
from bedplate.planner.serving.maximum import most_under_limit, offline, served
from bedplate.planner.serving.memory import memory, most_sequences
from bedplate.planner.serving.records import ServeLayout
from calibration.common import Measured

Array = NDArray[np.float64]
Value = Callable[[str], Array]
SECONDS = {"tpot_ms": 1e-3, "ttft_ms": 1e-3, "itl_median_ms": 1e-3, "output_tokens_per_s": 1.0}


class Ranks:
    """The ranks of one kind of worker over all cases of a part."""

    def __init__(self, layouts: Sequence[ServeLayout], cases: Sequence[Case], known: Knowledge) -> None:
        archs = [model(case, known) for case in cases]
        chips = [machine(case, known) for case in cases]
        works = [work_room.per_rank(arch, layout) for arch, layout in zip(archs, layouts, strict=True)]
        self.work = work_room.stack(works)
        self.sheet = rate_room.stack([rate_room.sheet(layout, chip) for layout, chip in zip(layouts, chips, strict=True)])
        self.labels = [rate_room.labels(layout, chip) for layout, chip in zip(layouts, chips, strict=True)]
        self.available = np.array([memory(w, ly, c).available for w, ly, c in zip(works, layouts, chips, strict=True)])
        self.chunk = np.array([float(layout.chunk) for layout in layouts])


class Part:
    """Cases of one kind. `labels` by role: the role names whose constants `predict` is given; `quantities` are what it returns."""

    quantities: tuple[str, ...] = ()

    def __init__(self, cases: Sequence[Measured]) -> None:
        self.cases = list(cases)
        self.labels: dict[str, list[tuple[str, ...]]] = {}

    def measured(self, quantity: str) -> Array:
        return np.array([c.measured.get(quantity, np.nan) for c in self.cases]) * SECONDS.get(quantity, 1.0)

    def column(self, get: Callable[[Case], Any]) -> Array:
        return np.array([float(get(c.case)) for c in self.cases])

    def predict(self, of: dict[str, Value]) -> dict[str, Array]:
        raise NotImplementedError


class Points(Part):
    """serve_point under continuous batching."""

    quantities = ("tpot_ms", "ttft_ms", "output_tokens_per_s", "itl_median_ms")

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        super().__init__(cases)
        layouts = [_point_layout(c.case, known) for c in cases]
        self.ranks = Ranks(layouts, [c.case for c in cases], known)
        self.labels = {"": [(*ls, f"dataset:{c.case.dataset}") for ls, c in zip(self.ranks.labels, cases, strict=True)]}
        self.given = self.column(lambda c: c.isl or np.nan)
        self.osl = self.column(lambda c: c.osl or 1.0)
        dp = np.array([layout.dp for layout in layouts])
        self.concurrency = self.column(lambda c: c.concurrency or c.batch_size or 1) / dp
        self.observed = self.column(lambda c: c.batch_size if c.dataset and c.batch_size else np.nan) / dp
        self.dp = dp

    def state(self, of: Value) -> Steady:
        isl = np.where(np.isnan(self.given), of("isl"), self.given)
        room = np.maximum(most_sequences(self.ranks.work, self.ranks.available, isl + self.osl / 2), 1.0)
        demand = Demand(isl=isl, osl=self.osl, chunk=self.ranks.chunk)
        rates = rate_room.combine(self.ranks.sheet, of)
        return closed_loop(self.ranks.work, rates, delays_of(of), demand, concurrency=self.concurrency, room=room, observed=self.observed)

    def predict(self, of: dict[str, Value]) -> dict[str, Array]:
        state = self.state(of[""])
        quiet = np.where(state.arrivals < 0.3, state.decode_s, np.nan)
        return {
            "tpot_ms": state.tpot,
            "ttft_ms": state.ttft,
            "output_tokens_per_s": state.running / state.tpot * self.dp,
            "itl_median_ms": quiet,
        }


class Fixed(Part):
    """serve_point with a fixed batch."""

    quantities = ("ttft_ms", "output_tokens_per_s")

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        super().__init__(cases)
        layouts = [layout_of(c.case, model(c.case, known))[0] for c in cases]
        self.ranks = Ranks(layouts, [c.case for c in cases], known)
        self.labels = {"": self.ranks.labels}
        self.isl, self.osl = self.column(lambda c: c.isl), self.column(lambda c: c.osl or 1.0)
        self.batch = self.column(lambda c: c.batch_size)

    def predict(self, of: dict[str, Value]) -> dict[str, Array]:
        work, rates = self.ranks.work, rate_room.combine(self.ranks.sheet, of[""])
        chunks = prefill_chunks(self.batch * self.isl, self.ranks.chunk)
        first = iteration(work, rates, sequences=0.0, context=0.0, prefill=self.batch * self.isl / chunks, prefill_context=self.isl / 2)
        decode = iteration(work, rates, sequences=self.batch, context=self.isl + self.osl / 2)
        ttft = first.total * chunks
        return {"ttft_ms": ttft, "output_tokens_per_s": self.batch * self.osl / (ttft + (self.osl - 1) * decode.total)}


class Disagg(Part):
    """serve_disagg."""

    quantities = ("ttft_ms", "tpot_ms")

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        super().__init__(cases)
        plain = [c.case for c in cases]
        self.prefill = Ranks([_worker_layout(c, c.prefill, known) for c in plain], plain, known)
        self.decode = Ranks([_worker_layout(c, c.decode, known) for c in plain], plain, known)
        self.labels = {"prefill": self.prefill.labels, "decode": self.decode.labels}
        self.isl, self.osl = self.column(lambda c: c.isl), self.column(lambda c: c.osl)
        self.concurrency = self.column(lambda c: c.concurrency)
        self.workers = [self.column(lambda c, side=side: getattr(c, side).workers or 1) for side in ("prefill", "decode")]

    def predict(self, of: dict[str, Value]) -> dict[str, Array]:
        split = disaggregated(
            Side(self.prefill.work, rate_room.combine(self.prefill.sheet, of["prefill"]), self.workers[0]),
            Side(self.decode.work, rate_room.combine(self.decode.sheet, of["decode"]), self.workers[1]),
            delays_of(of["decode"]), isl=self.isl, osl=self.osl, concurrency=self.concurrency, chunk=self.prefill.chunk,
        )  # fmt: skip
        return {"ttft_ms": split.ttft, "tpot_ms": split.tpot}


class Most(Part):
    """serve_max."""

    quantities = ("output_tokens_per_s",)

    def __init__(self, cases: Sequence[Measured], known: Knowledge) -> None:
        super().__init__(cases)
        asked = [served(c.case, known) for c in cases]
        self.ranks = Ranks([a.layout for a in asked], [c.case for c in cases], known)
        self.labels = {"": [(*ls, f"scenario:{c.case.scenario}") for ls, c in zip(self.ranks.labels, cases, strict=True)]}
        self.isl, self.osl = np.array([a.isl for a in asked]), np.array([a.osl for a in asked])
        self.dp = np.array([a.layout.dp for a in asked], dtype=float)
        self.requests = np.array([a.requests for a in asked])
        self.limit = np.array([a.tpot_limit for a in asked])

    def predict(self, of: dict[str, Value]) -> dict[str, Array]:
        value = of[""]
        ranks = self.ranks.work, rate_room.combine(self.ranks.sheet, value), delays_of(value), Demand(isl=self.isl, osl=self.osl)
        room = np.clip(most_sequences(self.ranks.work, self.ranks.available, self.isl + self.osl), 1.0, value("max_batch"))
        kept = most_under_limit(*ranks, room=room, tpot_limit=self.limit)
        done = offline(*ranks, requests=self.requests, room=kept)
        return {"output_tokens_per_s": done.tokens_per_s * self.dp * value("sustained")}


def _point_layout(case: Case, known: Knowledge) -> ServeLayout:
    arch = model(case, known)
    layout, _ = layout_of(case, arch)
    if case.kv_precision or not case.isl:
        return layout
    return with_caches(layout, machine(case, known))


def _worker_layout(case: Case, given: Parallel | None, known: Knowledge) -> ServeLayout:
    return layout_of(case, model(case, known), given)[0]


def parts(cases: Sequence[Measured], known: Knowledge) -> dict[str, Part]:
    """Every part that has cases (image generation under serve_max is another room's)."""
    point = [c for c in cases if c.case.kind == "serve_point"]
    found: dict[str, Part] = {
        "point": Points([c for c in point if c.case.batching != "static"], known),
        "static": Fixed([c for c in point if c.case.batching == "static"], known),
        "disagg": Disagg([c for c in cases if c.case.kind == "serve_disagg"], known),
        "max": Most([c for c in cases if c.case.kind == "serve_max" and "output_tokens_per_s" in c.measured], known),
    }
    return {name: part for name, part in found.items() if part.cases}
