"""Infer call: one inference of the Open Inference Protocol, from the tensors that it was asked with to the answer and its record."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec
import numpy as np

from bedplate.core.errors import UserError
from bedplate.pipeline.served import SHADOWS
from bedplate.stages.deploy.batcher import Batcher, Turned
from bedplate.stages.deploy.deployment import LoadedModel
from bedplate.stages.deploy.recorder import Block, Cells, Prediction
from bedplate.stages.deploy.service import plain
from bedplate.stages.deploy.trace import Trace

from . import model_columns, tensors
from .answered import Answered
from .asking import Failed
from .infer_forms import InferForm, Wishes
from .lanes import Lane
from .ledger import Ledger, Place
from .replies import Headers, Problem
from .rolled_model import RolledModel

_USUAL, _LAST = 2, 9
"""The priority of who asks for none, and the last that there is."""


class OfRows(msgspec.Struct, frozen=True, gc=False):
    """How a version is asked for rows of numbers: `call` (None: it must see its columns), and the batcher where they are gathered.

    `is_remote`: another server has it.
    """

    loaded: LoadedModel
    call: Callable[[Any], Any] | None = None
    batcher: Batcher | None = None
    is_remote: bool = False


class Inputs(msgspec.Struct, frozen=True, gc=False):
    """What is predicted from: how many rows, the prediction, and each row as it is recorded; the rows themselves, and who gathers them."""

    count: int
    predict: Callable[[], Any]
    row: Callable[[int], Any]
    rows: Any = None
    batcher: Batcher | None = None


def inputs_of(of_rows: OfRows, given: list[tensors.Tensor]) -> Inputs:
    """What is predicted from: an array where the model computes on rows of numbers and gets them as such, else columns."""
    model = of_rows.loaded.model
    if of_rows.call is not None:
        rows = model_columns.matrix(model.signature.inputs, given)
        if rows is not None:
            return Inputs(len(rows), partial(of_rows.call, rows), partial(Cells, rows), rows, of_rows.batcher)
    columns, count = model_columns.columns(model.signature.inputs, given)
    lists = {name: plain(values) for name, values in columns.items()}
    return Inputs(count, partial(model.predict, columns), lambda at: {name: values[at] for name, values in lists.items()})


class InferCall:
    """One inference: what is predicted from, what is wanted of it, and the names of the request and its rows."""

    __slots__ = (
        "_asked",
        "_at",
        "_form",
        "_inputs",
        "_ledger",
        "_loaded",
        "_named",
        "_place",
        "_request_id",
        "_rolled",
        "_started",
        "_trace",
        "_wishes",
        "lane",
        "rows",
    )

    def __init__(
        self,
        ledger: Ledger,
        lane: Lane,
        form: InferForm,
        loaded: LoadedModel,
        asked: tensors.InferRequest,
        inputs: Inputs,
        wishes: Wishes,
        place: Place,
        given_id: bytes,
        started: float,
    ) -> None:
        self.lane, self.rows = lane, inputs.count
        self._ledger, self._form, self._loaded, self._asked, self._inputs, self._wishes = ledger, form, loaded, asked, inputs, wishes
        self._place, self._started = place, started
        self._at = ledger.clock.now()
        self._named = ledger.named(inputs.count, given_id, self._at)
        self._rolled: RolledModel | None = None
        self._trace: Trace | None = None

    def follow(self, trace: Trace) -> None:
        """Have the trace recorded with what is answered."""
        self._trace = trace

    def roll(self, rolled: RolledModel, headers: Headers) -> None:
        """Let the versions that are tried have their part in it."""
        rolled.pick(self._asked.parameters, self._inputs.row(0), headers, self._named.ids()[0])
        self._rolled, self.lane = rolled, rolled.lane(self.lane)

    @property
    def gathers(self) -> bool:
        """Whether others may be answered with it."""
        return self._inputs.batcher is not None and not (self._rolled is not None and self._rolled.picked)

    async def gathered(self) -> tuple[Any, list[tensors.Output]]:
        """As `run`, together with others. Raises Problem 503 where the model cannot take more, 504 past the deadline asked for."""
        batcher = self._inputs.batcher
        if batcher is None:
            return self.run()
        priority, deadline = wanted(self._asked.parameters, self._started)
        made, took = None, None if self._trace is None else self._trace.took
        try:
            made = np.asarray(await batcher.ask(self._inputs.rows, priority=priority, deadline=deadline, took=took))
            return made, model_columns.outputs(self._loaded.model.signature.outputs, made)
        except Turned as turned:
            raise turned_away(turned) from None
        except UserError as error:
            raise Problem(400, error.what, why=error.why) from None
        except Exception as error:  # what a framework raised, or what became of its process
            raise Failed from error
        finally:
            if self._rolled is not None:
                self._rolled.note(time.perf_counter() - self._started, made)

    def run(self) -> tuple[Any, list[tensors.Output]]:
        """The predictions and the tensors that say them. Raises Problem 400 for input that the model refuses, Failed for anything else."""
        if self._rolled is None:
            return _made(self._loaded, self._inputs)
        if (of_canary := self._rolled.of_canary()) is not None:
            self._loaded, made = of_canary
            return made, model_columns.outputs(self._loaded.model.signature.outputs, made)
        started, made = time.perf_counter(), None
        try:
            made, outputs = _made(self._loaded, self._inputs)
        finally:
            self._rolled.note(time.perf_counter() - started, made)
        return made, outputs

    def finish(self, made: tuple[Any, list[tensors.Output]]) -> Answered:
        """The outputs that are wanted, in the form that they are."""
        predicted, outputs = made
        if self._rolled is not None:
            self._rolled.then(self._record(plain(predicted), ""), self._shadowed)
        elif self._inputs.rows is not None and self._place.rows == self.rows > 1 and self._trace is None:
            self._record_block(predicted)
        else:
            self._record(plain(predicted), "")
        wished = [one for one in outputs if one.name in self._wishes]
        return self._form.write(self._asked, self._wishes, wished, self._loaded, self._named.request_id)

    def fail(self, failed: Failed) -> Problem:
        """The model raised; its rows are recorded."""
        problem, kept = self._ledger.failure(self._loaded.name, failed.__cause__ or failed, self._at)
        self._record([None] * self.rows, kept)
        return problem

    def close(self) -> None:
        """Give back the room in the log that was not used."""
        self._place.close()

    def _shadowed(self, predictions: list[Prediction]) -> None:
        """Record what a shadow said; where there is no room, it is dropped."""
        self._ledger.record(f"{SHADOWS}model/{self._loaded.name}", predictions)

    def _record_block(self, predicted: Any) -> None:
        """Record the rows as they came: nothing is made for each of them."""
        latency_ms, named, loaded = (time.perf_counter() - self._started) * 1e3, self._named, self._loaded
        rows, models = self._inputs.rows, loaded.models_text
        block = Block(named.ids, named.request_id, self._at, latency_ms, 200, "", models, rows, predicted)
        self._ledger.record_block(f"predictions/model/{loaded.name}", block, self._place)

    def _record(self, results: list[Any], error: str) -> list[Prediction]:
        latency_ms = (time.perf_counter() - self._started) * 1e3
        request_id, at, status = self._named.request_id, self._at, 500 if error else 200
        models, row = self._loaded.models_text, self._inputs.row
        trace = self._trace
        if trace is None and (error or latency_ms > self._ledger.tracer.over_s * 1e3):
            trace = self._ledger.tracer.late("failed" if error else "slow", self._started, time.perf_counter())
        predictions = [
            Prediction(name, request_id, at, latency_ms, status, error, models, row(number), None, result)
            for number, (name, result) in enumerate(zip(self._named.ids(), results, strict=True))
        ]
        self._ledger.record(f"predictions/model/{self._loaded.name}", predictions, self._place, trace)
        return predictions


def wanted(parameters: Mapping[str, Any], now: float) -> tuple[int, float | None]:
    """The class and the deadline that a request asks for, as Triton has them: 1 is the first priority, 0 says none; microseconds."""
    priority, timeout = parameters.get("priority"), parameters.get("timeout")
    first = priority if type(priority) is int and priority > 0 else _USUAL
    return min(first, _LAST) - 1, now + timeout / 1e6 if type(timeout) is int and timeout > 0 else None


def turned_away(turned: Turned) -> Problem:
    """What a client hears that was not worked for."""
    retry = () if turned.reason == "late" else ((b"retry-after", b"%d" % max(1, math.ceil(turned.retry_s))),)
    return Problem(504 if turned.reason == "late" else 503, turned.what, why=turned.why, headers=retry)


def _made(loaded: LoadedModel, inputs: Inputs) -> tuple[Any, list[tensors.Output]]:
    """The predictions and the tensors that say them. Raises Problem 400 for input that the model refuses, Failed for anything else."""
    try:
        made = np.asarray(inputs.predict())
        return made, model_columns.outputs(loaded.model.signature.outputs, made)
    except UserError as error:
        raise Problem(400, error.what, why=error.why) from None
    except BaseException as error:  # whatever a framework or a project's own function raises, SystemExit among it; the server goes on
        raise Failed from error
