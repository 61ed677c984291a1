"""The ingest handler: calls the function; a source asked for `new()` makes what it returns an append to the head."""

from __future__ import annotations

from typing import Any

from bedplate.core.errors import UserError
from bedplate.core.sources import Files, Package, Reader, Source
from bedplate.pipeline.handlers import Call, Work


class Ingest(Call):
    """Like any call, with sources that read; continues the head where the function asked a source only for what is new."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def call(self, work: Work) -> dict[str, Any]:
        """Call the function; where `source.new()` was asked and gave only a part, its values continue the head's."""
        for name, value in work.arguments.items():
            if isinstance(value, Source):
                work.arguments[name] = value.read_with(self._reader)
        values = super().call(work)
        if any(isinstance(value, Source) and value.asked and value.seen for value in work.arguments.values()):
            work.append.extend(name for name in values if name in work.task.prior)
        return values

    def at_fault(self, work: Work, error: Exception) -> UserError | None:
        """The file of a source that cannot be read, by name."""
        sources = [value for value in work.arguments.values() if isinstance(value, Files | Package)]
        return self._reader.broken([path for source in sources for path in source.paths], error) if sources else None
