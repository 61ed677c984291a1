"""The shelf of kind `service`: what a service predicted, joined with the labels, handed to whoever watches it. Nothing is saved through it.

It is light: what needs Polars is in `served.py`, loaded when predictions are first read.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bedplate.core.errors import InternalError, StoreError
from bedplate.core.kinds import View
from bedplate.core.records import Draft
from bedplate.pipeline.served import LABELS, PREDICTIONS, log_name
from bedplate.storage.bucket import Bucket
from bedplate.storage.logs import Log
from bedplate.storage.shelf import Save


class ServiceShelf:
    """Reads the logs of services under a store's root; a version is `pipeline.served.served`'s."""

    def __init__(self, root: Path, bucket: Bucket | None = None) -> None:
        self._root = root
        self._bucket = bucket

    def save(self, request: Save) -> Draft:
        """Raises InternalError: predictions are logged by the server, labels by `bedplate labels`."""
        raise InternalError(f"{request.artifact} is a service, and nothing saves one")

    def load(self, version: Draft, view: View, spec: dict[str, Any] | None) -> Any:
        """The predictions with their labels, by the time they were made, as `view`. Raises UserError, StoreError."""
        if gone := self.missing(version):
            raise StoreError(f"{version.artifact}: {gone[0]} is gone", why="its predictions or labels were removed", next="bedplate doctor")
        predictions, labels = (self._log(what, version) for what in (PREDICTIONS, LABELS))
        served = importlib.import_module(".served", __package__)
        frame = served.joined(predictions.scan(version.meta[PREDICTIONS]), labels.scan(version.meta[LABELS]))
        return served.as_view(frame, view, version.artifact)

    def missing(self, version: Draft) -> list[str]:
        """The log files of the version that are gone."""
        return [path for what in (PREDICTIONS, LABELS) for path in self._log(what, version).missing(version.meta[what])]

    def verify(self, version: Draft) -> None:
        """Nothing to compute: a log has no content digest."""

    def keeps(self, version: Draft) -> Iterable[str]:
        """Nothing: logs are never collected."""
        return ()

    def _log(self, what: str, version: Draft) -> Log:
        return Log(self._root, log_name(what, version.artifact), self._bucket)
