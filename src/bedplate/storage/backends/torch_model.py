"""PyTorch: a module's weights as `weights.safetensors`, with its class by name and what that is made with; or an exported program.

`module.json` names the class, which is a class of the project or of an installed package, the digest of its methods, and the arguments of
its `__init__`: those given as `Model(net, arguments={...})`, else attributes of the same name. The module is made anew from them when
it is saved, and has to answer the example as the one given did, bit by bit. A class that has changed since is refused.

`torch.export.export(...)` gives a program that needs no class: it is kept as `program.pt2`, without its sample inputs, and loaded only
where nothing in it is pickled.

A module whose `forward` takes one tensor gets the inputs side by side as float32; one that takes several gets each by its name: floats
as float32, whole numbers and truth values in their type, categories as codes in int64, where one that is missing or was never seen
is the number of categories (make the embedding one larger). What it answers is given as it is: one value or one row of values per row.

Limit: text without categories is no input of a module.
"""

from __future__ import annotations

import inspect
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch

from bedplate.core import digests
from bedplate.core.errors import CorruptError, UserError
from bedplate.core.model import Field, Model, Predictor, Signature
from bedplate.core.records import Record
from bedplate.storage import class_code, signatures
from bedplate.storage.flavours import Files, Stored
from bedplate.storage.foreign import Foreign

from . import columns as cols
from .rows import Encoder

WEIGHTS, MODULE, PROGRAM = "weights.safetensors", "module.json", "program.pt2"
_UNSTABLE = ("/.data/serialization_id",)
_SHOWN = 100


class Made(Record, frozen=True, kw_only=True):
    """How a module is made: its class, and the arguments of its `__init__`."""

    of: class_code.NamedClass
    arguments: dict[str, Any]


class Torch:
    """The flavour of PyTorch: an `nn.Module`, or a `torch.export.ExportedProgram`."""

    name = "torch"

    def signature(self, model: Model) -> Signature:
        inputs = signatures.fields(model.example)
        cols.text_without_categories(inputs, "module")
        rows = signatures.rows(model.example)
        answer = called(_callable(_bare(model.native)), Signature(inputs, ())).predict(
            {f.name: [row.get(f.name) for row in rows] for f in inputs}
        )
        return Signature(inputs, (Field("prediction", "FP64" if answer.dtype.kind == "f" else "INT64"),))

    def save(self, model: Model, folder: Path) -> None:
        net = _bare(model.native)
        if isinstance(net, torch.export.ExportedProgram):
            save_program(net, folder / PROGRAM)
            return
        made = Made(of=class_code.named(type(net)), arguments=_arguments(net, model.arguments))
        safetensors.torch.save_model(net, str(folder / WEIGHTS))
        (folder / MODULE).write_bytes(digests.canonical(made))
        _same(net, _made(made, folder / WEIGHTS), model.example)

    def digest(self, files: Files) -> str:
        if PROGRAM in files:
            return _program_digest(files[PROGRAM])
        return digests.of_parts((name, digests.of_file(path)) for name, path in files.items())

    def load(self, files: Files, stored: Stored) -> Predictor:
        if PROGRAM in files:
            return called(load_program(files[PROGRAM]).module(), stored.signature)
        made = msgspec.json.decode(files[MODULE].read_bytes(), type=Made)
        net = _made(made, files[WEIGHTS])
        return called(net, stored.signature, class_code.methods(type(net)))

    def opened(self, asked: Foreign) -> Any:
        """A file of another tool: a program, or weights with the class that they are of."""
        if asked.path.suffix == ".pt2":
            return load_program(asked.path)
        if not asked.of:
            raise UserError(f"{asked.path.name} holds weights, not what they are of", next="--class module:Class --arguments '{...}'")
        return _made(Made(of=class_code.at(asked.of), arguments=asked.arguments), asked.path)

    def describe(self, model: Model) -> dict[str, Any]:
        net = _bare(model.native)
        weights = net.state_dict
        numbers = [(name, list(tensor.shape)) for name, tensor in (weights() if callable(weights) else weights).items()]
        found = {
            "class": type(net).__qualname__,
            "weights": sum(int(np.prod(shape)) for _, shape in numbers),
            "tensors": dict(numbers[:100]),
        }
        return found if isinstance(net, torch.export.ExportedProgram) else {**found, "params": _arguments(net, model.arguments)}

    def functions(self, model: Model) -> tuple[Callable[..., Any], ...]:
        """What of the project's code the model needs."""
        net = _bare(model.native)
        return () if isinstance(net, torch.export.ExportedProgram) else class_code.methods(type(net))


class Called:
    """A loaded module, in evaluation, that takes each input by its name; may be asked from several threads."""

    def __init__(self, net: Callable[..., Any], signature: Signature, functions: tuple[Callable[..., Any], ...] = ()) -> None:
        self.signature = signature
        self.native = net
        self.functions = functions
        self._encoder = Encoder(signature.inputs)

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """What the module answers, a row per row. Raises UserError for unfit columns, or where the module refuses them."""
        rows = cols.length(self.signature.inputs, columns)
        return self._ask(rows, (), self._each(columns)) if rows else np.empty(0)

    def _ask(self, rows: int, given: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> npt.NDArray[Any]:
        try:
            with torch.inference_mode():
                answer = self.native(*given, **named)
        except (RuntimeError, IndexError, AssertionError) as error:
            raise UserError("the module refused these inputs", why=str(error).strip().splitlines()[0][:300]) from error
        return _rows(answer, rows)

    def _each(self, columns: dict[str, Any]) -> dict[str, torch.Tensor]:
        return {
            field.name: torch.from_numpy(_tensor(field, codes, columns[field.name]))
            for field, codes in zip(self.signature.inputs, self._encoder.codes, strict=True)
        }


class Together(Called):
    """A loaded module that takes the inputs side by side."""

    def predict(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """As of any module."""
        return self.rows(self._encoder.matrix(columns))

    def matrix(self, columns: dict[str, Any]) -> npt.NDArray[Any]:
        """The columns as rows of numbers. Raises UserError for unfit columns."""
        return self._encoder.matrix(columns)

    def rows(self, matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Predict for rows of numbers. Raises UserError where the module refuses them."""
        return self._ask(len(matrix), (torch.from_numpy(matrix.astype(np.float32)),), {}) if len(matrix) else np.empty(0)


def called(net: Callable[..., Any], signature: Signature, functions: tuple[Callable[..., Any], ...] = ()) -> Called:
    """A predictor of a module, by what its forward() takes. Raises UserError where the signature does not fit it."""
    names = _takes(net)
    if len(names) == 1:
        return Together(net, signature, functions)
    if set(names) != {field.name for field in signature.inputs}:
        given = ", ".join(field.name for field in signature.inputs)
        raise UserError(
            "the example's columns are not what forward() takes", why=f"it takes {', '.join(names)}; the example has {given}",
            next="name them alike, or let forward() take one tensor of all",
        )  # fmt: skip
    return Called(net, signature, functions)


def _tensor(field: Field, codes: dict[Any, float], values: Any) -> npt.NDArray[Any]:
    if codes:
        found = cols.codes(field, codes, values)
        return np.where(np.isnan(found), len(field.categories), found).astype(np.int64)
    typed = cols.typed(field, values)
    return typed.astype(np.float32) if typed.dtype.kind == "f" else typed


def _example(example: Any, inputs: tuple[Field, ...]) -> dict[str, Any]:
    rows = signatures.rows(example)
    return {field.name: [row.get(field.name) for row in rows] for field in inputs}


def _rows(answer: Any, rows: int) -> npt.NDArray[Any]:
    if not isinstance(answer, torch.Tensor):
        raise UserError(f"the module answered with a {type(answer).__name__}", why="a tensor with an item for each row is needed")
    array = answer.detach().cpu().float().numpy() if answer.dtype in (torch.bfloat16, torch.float16) else answer.detach().cpu().numpy()
    array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if array.ndim not in (1, 2) or len(array) != rows:
        raise UserError(
            f"the module answered with {' x '.join(map(str, array.shape))} for {rows} rows", why="an item for each row is needed"
        )
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def _bare(native: Any) -> Any:
    """The module itself, where it is wrapped for training on several processes."""
    wrapped = isinstance(native, torch.nn.parallel.DistributedDataParallel)
    return native.module if wrapped else native


def _callable(net: Any) -> Callable[..., Any]:
    if isinstance(net, torch.export.ExportedProgram):
        program: Callable[..., Any] = net.module()
        return program
    return _Evaluating(net)


class _Evaluating:
    """A module as it answers in evaluation, left in the mode that it was in."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.forward = net.forward
        self._net = net

    def __call__(self, *given: Any, **named: Any) -> Any:
        before = {module: module.training for module in self._net.modules()}
        self._net.eval()
        try:
            return self._net(*given, **named)
        finally:
            for module, training in before.items():
                module.training = training


def _takes(net: Any) -> list[str]:
    names = list(inspect.signature(net.forward).parameters)
    if not names:
        raise UserError("forward() takes nothing", why="it is given the inputs")
    return names


def _arguments(net: torch.nn.Module, given: dict[str, Any]) -> dict[str, Any]:
    """What the class is made with: as given, else by attributes of the same names. Raises UserError for what is not known or no JSON."""
    found: dict[str, Any] = dict(given)
    for name, parameter in list(inspect.signature(type(net)).parameters.items()):
        value = getattr(net, name, None)
        if name in found or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if isinstance(value, bool | int | float | str | list | tuple | dict):
            found[name] = value
        elif parameter.default is parameter.empty:
            raise UserError(
                f"nothing says which '{name}' {type(net).__name__} was made with", why="the class is made anew where the model is used",
                next=f"Model(net, arguments={{'{name}': ...}}, ...); torch.export.export(net, ...) keeps a module of parts without a class",
            )  # fmt: skip
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UserError(f"the arguments of {type(net).__name__} are no JSON", why=str(error)) from None
    return found


def _made(made: Made, weights: Path) -> torch.nn.Module:
    """The module, made anew, with its weights. Raises UserError where the class is gone, has changed, or fits them not."""
    cls = class_code.found(made.of)
    try:
        net: torch.nn.Module = cls(**made.arguments)
        safetensors.torch.load_model(net, str(weights))
    except (TypeError, RuntimeError, ValueError) as error:
        raise UserError(
            f"{made.of} cannot be made again with {made.arguments}", why=str(error).strip().splitlines()[0][:300],
            next="Model(net, arguments={...}) with what it was made with",
        ) from None  # fmt: skip
    except safetensors.SafetensorError as error:
        raise CorruptError(f"{WEIGHTS} cannot be read", why=str(error)) from None
    return net.eval()


def _same(net: torch.nn.Module, again: torch.nn.Module, example: Any) -> None:
    """Raises UserError where the module made anew answers otherwise than the one that was trained."""
    inputs = signatures.fields(example)
    columns = _example(example, inputs)
    first, second = (called(one, Signature(inputs, ())).predict(columns) for one in (_callable(net), again))
    if not np.array_equal(first, second, equal_nan=True):
        raise UserError(
            f"{type(net).__name__}, made anew with its weights, answers otherwise", why="it depends on more than its arguments and weights",
            next="give arguments={...} with what it was made with, and keep its state in parameters and buffers",
        )  # fmt: skip


def save_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Without its sample inputs, which PyTorch would pickle."""
    samples, program.example_inputs = program.example_inputs, None
    try:
        torch.export.save(program, path)
    finally:
        program.example_inputs = samples
    _unpickled(path)


def load_program(path: Path) -> torch.export.ExportedProgram:
    """The exported program in a file. Raises UserError where something in it is pickled, CorruptError where it cannot be read."""
    _unpickled(path)
    try:
        return torch.export.load(path)
    except Exception as error:  # PyTorch raises many kinds for a broken archive
        raise CorruptError(f"{path.name} is not an exported program", why=str(error)[:300]) from None


def _unpickled(path: Path) -> None:
    with _archive(path) as archive:
        for name in archive.namelist():
            pickled = name.endswith(".pt") and archive.getinfo(name).file_size > 0
            if name.endswith("_config.json"):
                entries = json.loads(archive.read(name))["config"].values()
                pickled = pickled or any(entry.get("use_pickle", True) for entry in entries)
            if pickled:
                raise UserError(
                    f"{path.name} holds something pickled", why=f"{name}; nothing is unpickled", next="export plain tensors only"
                )


def _program_digest(path: Path) -> str:
    with _archive(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith(_UNSTABLE)]
        return digests.of_parts((name.partition("/")[2], digests.of_bytes(archive.read(name))) for name in sorted(names))


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise CorruptError(f"{path.name} is not an exported program", why="it is no archive") from None


FLAVOUR = Torch()
