"""The ingest handler: calls the function; a source asked for `new()` makes what it returns an append to the head."""

from __future__ import annotations

from typing import Any

from bedplate.core.sources import Source
from bedplate.pipeline.handlers import Call, Work


class Ingest(Call):
    """Like any call, and continues the head where the function asked a source only for what is new."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the function; where `source.new()` was asked and gave only a part, its values continue the head's."""
        values = super().call(work)
        if any(isinstance(value, Source) and value.asked and value.seen for value in work.arguments.values()):
            work.append.extend(name for name in values if name in work.task.prior)
        return values
