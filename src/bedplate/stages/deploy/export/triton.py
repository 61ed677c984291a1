"""A model repository of Triton Inference Server: `NAME/config.pbtxt` and `NAME/VERSION/FILE`, versions numbered as here.

Boosted trees go as they are to Triton's FIL backend; ONNX as it is, PyTorch and scikit-learn converted, to its ONNX Runtime, which reads
inputs and outputs from the graph. What a model of numbers expects of text is in `columns.json`: the order of the inputs, and the code of
each category.

Limit: both backends take trees in float32; a value within its rounding of a threshold may take the other branch.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Final

import numpy as np

from bedplate.core.errors import UserError
from bedplate.storage import runtimes

from .names import plain
from .subject import Exported, Subject

CONFIG: Final = "config.pbtxt"
_FIL: Final = {"lightgbm": ("model.txt", "model.txt", "lightgbm"), "xgboost": ("model.ubj", "xgboost.ubj", "xgboost_ubj")}
"""Flavour -> its file here, what FIL looks for, and what FIL calls it."""
_CONVERTED: Final = ("sklearn", "torch")
_BATCH: Final = 4096


def write(asked: Subject, folder: Path, name: str = "") -> list[str]:
    """Write the models into an empty folder; what a reader has to know. Raises UserError for one that Triton does not run."""
    if name and len(asked.models) != 1:
        raise UserError("--as names one model", why=f"{asked.name} takes {len(asked.models)}", next="leave it out")
    if not asked.models:
        raise UserError(f"{asked.name} takes no model", why="a repository holds models", next=f"bedplate export docker {asked.name}")
    return [_write(asked.name, one, folder / plain(name or one.name)) for one in asked.models]


def _write(asked: str, one: Exported, folder: Path) -> str:
    flavour, place = one.stored.flavour, folder / str(one.version.number)
    place.mkdir(parents=True)
    if flavour in _FIL and _FIL[flavour][0] in one.files:
        kept, wanted, kind = _FIL[flavour]
        shutil.copyfile(one.files[kept], place / wanted)
        config = _fil(one, folder.name, kind)
        note = f"{one.version.ref}: Triton's FIL compares in float32"
    elif flavour == "onnx" and "model.onnx" in one.files:
        shutil.copyfile(one.files["model.onnx"], place / "model.onnx")
        config, note = _onnx(folder.name), f"{one.version.ref}: as it is, in ONNX Runtime"
    elif flavour in _CONVERTED and one.source is not None:
        runtimes.runtime("onnxruntime").prepare(one.source, place)
        config, note = _onnx(folder.name), f"{one.version.ref}: converted to ONNX, in float32"
    else:
        raise UserError(
            f"{one.version.ref} is nothing that Triton runs",
            why=f"it is kept as {flavour}; known: {', '.join([*_FIL, 'onnx', *_CONVERTED])}, of numbers",
            next=f"bedplate export docker {asked}",
        )
    (folder / CONFIG).write_text(config, encoding="utf-8")
    columns = [{"name": field.name, "type": field.type, "categories": list(field.categories)} for field in one.stored.signature.inputs]
    (folder / "columns.json").write_text(json.dumps(columns, indent=2) + "\n", encoding="utf-8")
    return note


def _fil(one: Exported, name: str, kind: str) -> str:
    """The configuration of trees: one matrix in, a value or one for each class out."""
    outputs = _outputs(one)
    said = "true" if outputs > 1 else "false"
    parameters = {"model_type": kind, "output_class": said, "predict_proba": said}
    told = "".join(f"parameters {{ key: {_text(key)} value {{ string_value: {_text(value)} }} }}\n" for key, value in parameters.items())
    return (
        f"name: {_text(name)}\nbackend: \"fil\"\nmax_batch_size: {_BATCH}\n"
        f"input [ {{ name: \"input__0\" data_type: TYPE_FP32 dims: [ {len(one.stored.signature.inputs)} ] }} ]\n"
        f"output [ {{ name: \"output__0\" data_type: TYPE_FP32 dims: [ {outputs} ] }} ]\n"
        f"{told}instance_group [ {{ kind: KIND_CPU count: 1 }} ]\ndynamic_batching {{ }}\n"
    )  # fmt: skip


def _onnx(name: str) -> str:
    return f'name: {_text(name)}\nbackend: "onnxruntime"\nmax_batch_size: 0\ninstance_group [ {{ kind: KIND_CPU count: 1 }} ]\n'


def _outputs(one: Exported) -> int:
    """How many values it gives for a row."""
    if not one.example:
        return max(1, len(one.stored.signature.outputs[0].categories))
    columns: dict[str, Any] = {field.name: [row.get(field.name) for row in one.example] for field in one.stored.signature.inputs}
    answer = np.asarray(one.model.predictor.predict(columns))
    return int(answer.shape[1]) if answer.ndim == 2 else 1


def _text(value: str) -> str:
    """A string of a protocol buffer's text."""
    return json.dumps(value)
