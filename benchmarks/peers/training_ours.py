"""The loop of training_loop.py as a train function with `workers=2`; the seconds of its steps are a metric."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from training_loop import loop

import bedplate
from bedplate import Context, Model, Project

training = Project("training")


def constant(params, columns):
    return np.full(len(columns["x"]), params["y"])


@training.train(workers=2)
def net(context: Context) -> Model:
    context.metric("inside", loop())
    return Model.of(constant, {"y": 1.0}, example=[{"x": 1.0}])


if __name__ == "__main__":
    project = bedplate.open(Path(__file__).name)
    summary = project.run(fresh=True)
    assert summary.ok, summary.failures
    (step,) = summary.steps
    print(f"inside={project.catalog.runs.metrics(step.result)['inside']}")
