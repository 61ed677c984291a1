"""What runs were trained or tested on, as their clients say it; and the models that they took."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.catalog.database import Database
from bedplate.catalog.rows import text
from bedplate.core.errors import NotFound
from bedplate.core.records import Record

from . import limits
from .runs import TrackedRuns
from .tracked import CONTEXT, DatasetInput


class Summary(Record, frozen=True, kw_only=False):
    """A dataset of an experiment as some run used it."""

    experiment_id: str
    name: str
    digest: str
    context: str = ""


class Datasets:
    """The datasets of experiments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def log(self, run: str, inputs: Sequence[DatasetInput], models: Sequence[str] = ()) -> None:
        """Record that a run used datasets (each once, as it was said first) and logged models. Raises NotFound, UserError."""
        limits.many("datasets", inputs, limits.MOST_DATASETS)
        limits.many("models", models, limits.MOST_DATASETS)
        checked = [_checked(f"datasets[{place}]", one) for place, one in enumerate(inputs)]

        def work() -> None:
            experiment = TrackedRuns(self._database).active(run).experiment
            for one in checked:
                self._use(run, experiment, one)
            missing = next((model for model in models if self._database.value("model_is_logged", id=model) is None), None)
            if missing is not None:
                raise NotFound(f"Logged model with ID '{missing[:100]}' not found.")
            if models:
                self._database.many("run_model_put", [{"run": run, "model": model, "way": "in", "at_step": 0} for model in models])

        self._database.transact(work)

    def summaries(self, experiments: Sequence[int], limit: int = 1000) -> list[Summary]:
        """The datasets of experiments, each once for each context in which a run used it."""
        listed = ", ".join(str(int(one)) for one in experiments)
        sql = (
            "SELECT DISTINCT d.experiment, d.name, d.digest, r.context FROM datasets AS d JOIN run_datasets AS r ON r.dataset = d.id "
            f"WHERE d.experiment IN ({listed}) ORDER BY d.experiment, d.name, d.digest, r.context LIMIT {int(limit)}"
        )
        return [Summary(str(row[0]), *row[1:]) for row in self._database.composed(sql, {})] if listed else []

    def _use(self, run: str, experiment: int, one: DatasetInput) -> None:
        dataset = one.dataset
        self._database.run(
            "dataset_add", experiment=experiment, name=dataset.name, digest=dataset.digest, source_type=dataset.source_type,
            source=dataset.source, schema=dataset.schema, profile=dataset.profile,
        )  # fmt: skip
        context = next((tag.value for tag in one.tags if tag.key == CONTEXT), "")
        tags = text([[tag.key, tag.value] for tag in one.tags])
        self._database.run(
            "dataset_used", run=run, experiment=experiment, name=dataset.name, digest=dataset.digest, context=context, tags=tags
        )


def _checked(field: str, one: DatasetInput) -> DatasetInput:
    limits.dataset(f"{field}.dataset", one.dataset)
    limits.many(f"{field}.tags", one.tags, limits.MOST_TAGS)
    return DatasetInput(one.dataset, tuple(limits.named(f"{field}.tags[{place}]", tag) for place, tag in enumerate(one.tags)))
