"""An MLP of 1M parameters as ONNX: 30 inputs, two hidden layers, one answer."""

from __future__ import annotations

import importlib

import numpy as np
import polars as pl

from bedplate import Model, Project

SHAPES = ((30, 1000), (1000, 968), (968, 1))

network = Project("network")


@network.train
def mlp() -> Model:
    """Its weights are drawn: what it says does not matter here."""
    helper = importlib.import_module("onnx.helper")
    numpy_helper = importlib.import_module("onnx.numpy_helper")
    kind = importlib.import_module("onnx").TensorProto.FLOAT
    draw = np.random.default_rng(0)
    weights = [numpy_helper.from_array((draw.normal(size=shape) / 30).astype(np.float32), f"w{at}") for at, shape in enumerate(SHAPES)]
    nodes, last = [], "input"
    for at in range(len(SHAPES)):
        nodes += [helper.make_node("MatMul", [last, f"w{at}"], [f"m{at}"]), helper.make_node("Relu", [f"m{at}"], [f"r{at}"])]
        last = f"r{at}"
    given = helper.make_tensor_value_info("input", kind, [None, SHAPES[0][0]])
    made = helper.make_tensor_value_info(last, kind, [None, 1])
    graph = helper.make_graph(nodes, "mlp", [given], [made], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Model(model, example=pl.DataFrame({f"f{at}": [0.0, 1.0] for at in range(SHAPES[0][0])}))
