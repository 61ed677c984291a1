"""Logs: opens the log of a service or a model, whose rows are typed by what is deployed when they are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from bedplate.pipeline.served import MODELS, SERVICES, SHADOWS

from .deployment import Active, LoadedModel
from .frames import Shape, frame, model_shape, service_shape
from .holder import Holder
from .recorder import Append, Kept
from .service import Service

AppendFrame = Callable[[str, pl.DataFrame], Any]
"""Appends a frame to the log of that name: `store.log(name).append(frame)`."""


class Logs:
    """Opens logs by name: `predictions/SERVICE` and `predictions/model/MODEL`, and what shadows said under `predictions/shadow/`."""

    def __init__(self, holder: Holder, services: Iterable[Service], append: AppendFrame) -> None:
        self._holder = holder
        self._services = {service.name: service for service in services}
        self._append = append

    def open(self, name: str) -> Append:
        """What writes batches of that log."""

        def append(batch: Sequence[Kept]) -> None:
            rows = frame(batch, self._shape(name))
            self._append(name, rows)
            self._holder.outcomes.note(name, rows, self._serving(name))

        return append

    def _serving(self, name: str) -> str:
        """The versions that answer for a log now, as it has them; empty where none do."""
        current = self._holder.current
        if name.startswith(MODELS):
            model = current.models.get(name.removeprefix(MODELS))
            return model.models_text if isinstance(model, LoadedModel) else ""
        service = current.services.get(name.removeprefix(SERVICES))
        return service.models_text if isinstance(service, Active) else ""

    def _shape(self, name: str) -> Shape:
        current = self._holder.current
        if name.startswith(SHADOWS):
            name = f"{SERVICES}{name.removeprefix(SHADOWS)}"
        if name.startswith(MODELS):
            model = current.models[name.removeprefix(MODELS)]
            return model_shape(model.model.signature, model.wide) if isinstance(model, LoadedModel) else Shape()
        service = self._services[name.removeprefix(SERVICES)]
        active = current.services.get(service.name)
        return service_shape(service, active.features if isinstance(active, Active) else {})
