"""A model's columns and the protocol's tensors: which tensor is which column, and what the client may not send.

Any numeric tensor is taken for a numeric column, with the numbers that it holds: the model computes in floats, and not-a-number says
that a value is missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bedplate.core.model import Field, Signature

from .replies import Problem
from .tensors import InferRequest, Output, Tensor


def columns(inputs: Sequence[Field], given: Sequence[Tensor]) -> tuple[dict[str, Any], int]:
    """The model's columns from the tensors of a request, and how many rows they have. Raises Problem 400."""
    by_name = {tensor.name: tensor for tensor in given}
    if len(by_name) != len(given):
        raise Problem(400, "two inputs have the same name")
    names = [one.name for one in inputs]
    if len(given) == 1 and len(given[0].shape) == 2 and given[0].name not in names:
        return _matrix(inputs, given[0])
    if missing := [name for name in names if name not in by_name]:
        raise Problem(400, f"input '{missing[0]}' is missing", why=f"the model takes {', '.join(names)}")
    if extra := [name for name in by_name if name not in names]:
        raise Problem(400, f"the model has no input '{extra[0]}'", why=f"it takes {', '.join(names)}")
    made = {one.name: _column(one, by_name[one.name]) for one in inputs}
    sizes = {name: len(values) for name, values in made.items()}
    if len(set(sizes.values())) > 1:
        raise Problem(400, "the inputs have different numbers of rows", why=", ".join(f"{name}: {size}" for name, size in sizes.items()))
    rows = sizes[names[0]]
    if not rows:
        raise Problem(400, "the inputs have no rows")
    return made, rows


def matrix(inputs: Sequence[Field], given: Sequence[Tensor]) -> Any:
    """A request to a model of plain numbers that is one array of all its columns, as float64; None where it is not. Raises Problem 400."""
    if len(given) != 1:
        return None
    tensor = given[0]
    if len(tensor.shape) != 2 or (len(inputs) == 1 and tensor.name == inputs[0].name):
        return None
    if tensor.shape[1] != len(inputs) or not tensor.shape[0] or tensor.datatype == "BYTES":
        _check_matrix(inputs, tensor)
    return tensor.values.astype(np.float64, copy=False)


def is_plain(inputs: Sequence[Field]) -> bool:
    """Whether every column is a number as it is: no text, no truth, no code of a category."""
    return all(one.datatype[:1] in "FIU" and not one.categories for one in inputs)


def _check_matrix(inputs: Sequence[Field], tensor: Tensor) -> None:
    if tensor.shape[1] != len(inputs):
        raise Problem(400, f"input '{tensor.name}' has shape {list(tensor.shape)}, and the model takes {len(inputs)} columns")
    if tensor.datatype == "BYTES" or any(one.datatype == "BYTES" for one in inputs):
        raise Problem(400, "a single tensor holds numbers only", why="the model has text columns: send one tensor per column")
    if not tensor.shape[0]:
        raise Problem(400, "the inputs have no rows")


def _matrix(inputs: Sequence[Field], tensor: Tensor) -> tuple[dict[str, Any], int]:
    _check_matrix(inputs, tensor)
    made = {one.name: tensor.values[:, at] for at, one in enumerate(inputs)}
    return {one.name: made[one.name].astype(bool) if one.datatype == "BOOL" else made[one.name] for one in inputs}, tensor.shape[0]


def _column(wanted: Field, tensor: Tensor) -> Any:
    if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
        raise Problem(400, f"input '{wanted.name}' has shape {list(tensor.shape)}", why="it is one column: [n] or [n, 1]")
    text = (wanted.datatype == "BYTES", tensor.datatype == "BYTES")
    if text[0] != text[1] or (wanted.datatype == "BOOL" and tensor.datatype != "BOOL"):
        raise Problem(400, f"input '{wanted.name}' is {tensor.datatype}, and the model takes {wanted.datatype}")
    return tensor.values if text[0] else tensor.values.reshape(-1)


def wishes(asked: InferRequest, signature: Signature) -> dict[str, dict[str, Any]]:
    """The outputs that the client wants, with the parameters of each; all where it names none. Raises Problem 400."""
    names = [one.name for one in signature.outputs]
    if not asked.outputs:
        return {name: {} for name in names}
    for wish in asked.outputs:
        if wish.name not in names:
            raise Problem(400, f"the model has no output '{wish.name}'", why=f"it gives {', '.join(names)}")
        if "classification" in wish.parameters:
            raise Problem(400, "classification of outputs is not supported", next=f"ask for '{wish.name}' itself")
    return {wish.name: wish.parameters for wish in asked.outputs}


def outputs(fields: Sequence[Field], made: Any) -> list[Output]:
    """A prediction as the model's named outputs: a column each, or the whole array where there is one output."""
    if len(fields) > 1 and made.ndim == 2 and made.shape[1] == len(fields):
        return [Output(one.name, one.datatype, made[:, at]) for at, one in enumerate(fields)]
    return [Output(fields[0].name, fields[0].datatype, made)]
