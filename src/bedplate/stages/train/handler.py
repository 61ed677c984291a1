"""The train handler: calls the function, and records the metrics that its models carry.

What trainers say of missing values in their own words is said once more in plain ones: it is the data's matter, not the code's.
"""

from __future__ import annotations

from typing import Any

from bedplate.core.errors import UserError
from bedplate.core.model import Model
from bedplate.pipeline.handlers import Call, Work

_MISSING = ("contains NaN", "contains infinity", "Input contains missing values")


class Train(Call):
    """Calls the function; a model's `metrics` become metrics of the step."""

    def call(self, work: Work) -> dict[str, Any]:
        """Call the function; returns artifact name -> value. Raises UserError for a wrong result, and for data that no trainer takes."""
        try:
            values = super().call(work)
        except ValueError as error:
            if any(words in str(error) for words in _MISSING):
                raise _unfit(work.node.name, str(error)) from error
            raise
        for model in values.values():
            for name, value in model.metrics.items() if isinstance(model, Model) else ():
                work.context.metric(name, value)
        return values


def _unfit(step: str, said: str) -> UserError:
    what = "labels" if "Input y" in said else "inputs"
    return UserError(
        f"{step}: there are missing values in the {what} to train on",
        why=said.strip().splitlines()[0],
        next=f"drop those rows or fill them in before training ({'Model.labels(column) counts them' if what == 'labels' else 'fill_null'})",
    )
