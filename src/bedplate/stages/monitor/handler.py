"""The watch handler: a watch is a check over what a service predicted, joined with the labels that are known.

The function receives the predictions as a frame; the Check it returns is its result, and each finding is recorded as a
metric, so that a watch draws a line over time.
"""

from __future__ import annotations

from typing import Any

from bedplate.core.check import Check
from bedplate.pipeline.handlers import Call, Work


class Watch(Call):
    """Calls the function and notes the figures of the Check that comes back."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the watch; returns artifact name -> value. Raises UserError for a wrong result."""
        values = super().call(work)
        for check in values.values():
            for name, value in check.figures().items() if isinstance(check, Check) else ():
                work.context.metric(name, value)
        return values
