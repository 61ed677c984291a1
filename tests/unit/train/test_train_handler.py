"""Training: models come back with their metrics recorded; wrong results and missing values are said plainly."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from bedplate import Context, Model, Project
from bedplate.core.errors import UserError
from bedplate.core.records import Task
from bedplate.pipeline.handlers import Work
from bedplate.pipeline.wiring.graph import build
from bedplate.stages.train import Train


def call(function):
    """Run one train function as a worker would; its results and what the Context was told."""
    project = Project("flights")
    project.train(function)
    node = build(project).nodes[function.__name__]
    context = Context.test()
    task = Task(attempt="a", run="r", step=node.name, project_file="flights.py")
    return Train().call(Work(task=task, node=node, arguments={}, context=context, store=None, folder=Path())), context


class Both(NamedTuple):
    early: Model
    late: Model


def test_a_models_metrics_become_metrics_of_the_step():
    """Of each model that a NamedTuple holds, too."""

    def pair() -> Both:
        return Both(Model(1, metrics={"auc": 0.7}), Model(2, metrics={"loss": 0.1}))

    values, context = call(pair)
    assert {name: model.native for name, model in values.items()} == {"early": 1, "late": 2}
    assert [(noted.what, noted.name, noted.value) for noted in context.noted] == [("metric", "auc", 0.7), ("metric", "loss", 0.1)]


def test_a_result_of_another_kind_names_the_step_the_kind_and_the_type():
    """A bare booster instead of a Model."""

    def late() -> Model:
        return {"weights": [1.0]}

    with pytest.raises(UserError, match=r"late returned a builtins\.dict for 'late', which is declared a model"):
        call(late)


@pytest.mark.parametrize(("said", "what"), [("Input y contains NaN.", "labels"), ("Input X contains NaN.\nUse another.", "inputs")])
def test_missing_values_are_said_plainly(said, what):
    """What scikit-learn says of them becomes one message with the way on."""

    def late() -> Model:
        raise ValueError(said)

    with pytest.raises(UserError, match=f"late: there are missing values in the {what} to train on") as caught:
        call(late)
    assert caught.value.why == said.splitlines()[0]


def test_other_errors_of_the_code_stay_what_they_are():
    """Their traceback is the user's."""

    def late() -> Model:
        raise ValueError("no such column")

    with pytest.raises(ValueError, match="no such column"):
        call(late)
