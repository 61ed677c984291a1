"""ONNX Runtime for models of other frameworks: exported once, by their own converters, and asked through one matrix of float32.

Limit: trees compare in float32 there, so that a value within float32's rounding of a threshold may take the other branch; what is
measured to disagree is not used.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from bedplate.core.errors import UserError
from bedplate.storage.runtimes import Call, Source

from . import onnx_model


class OnnxRuntime:
    """The runtime, by the processor."""

    def prepare(self, source: Source, folder: Path) -> None:
        """Export the model. Raises UserError where its converter is not installed, or does not take it."""
        (folder / onnx_model.FILE).write_bytes(exported(source))

    def open(self, source: Source, folder: Path) -> Call:
        """A session on the exported model. Raises CorruptError."""
        return session(source, (folder / onnx_model.FILE).read_bytes(), onnx_model.CPU)


def exported(source: Source) -> bytes:
    """The model as ONNX. Raises UserError."""
    try:
        data: bytes = importlib.import_module(f"{__package__}.to_onnx").exported(source)
    except ModuleNotFoundError as error:
        raise UserError("exporting to ONNX needs a package", why=f"{error.name} is not installed", next=_NEXT) from None
    return data


def session(source: Source, data: bytes, provider: str) -> Call:
    """What asks the exported model. Raises UserError where it does not take a matrix."""
    found = onnx_model.session(data, source.stored.signature, provider)
    if not isinstance(found, onnx_model.Together):
        raise UserError("the exported model takes its inputs one by one", why="rows of numbers are asked as one matrix")
    return found.rows


_NEXT = "pip install 'bedplate[runtimes]'"
RUNTIME = OnnxRuntime()
