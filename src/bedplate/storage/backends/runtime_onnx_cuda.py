"""ONNX models on a CUDA device: the model's own file, or the one that `onnxruntime` prepared, with another provider."""

from __future__ import annotations

from pathlib import Path

from bedplate.core.errors import UserError
from bedplate.storage.runtimes import AS_IT_IS, Call, Source

from . import onnx_model
from .runtime_onnx import session


class OnCuda:
    """The runtime; nothing has to be prepared."""

    def prepare(self, source: Source, folder: Path) -> None:
        """Nothing: the model's own file is opened. Raises UserError where there is no device."""
        _need_device()

    def open(self, source: Source, folder: Path) -> Call:
        """A session on the device. Raises UserError where there is none."""
        _need_device()
        file = source.files.get(onnx_model.FILE, folder.with_name(AS_IT_IS[folder.name]) / onnx_model.FILE)
        return session(source, file.read_bytes(), onnx_model.CUDA)


def _need_device() -> None:
    if not onnx_model.accelerated():
        raise UserError("onnxruntime finds no CUDA device here", next="pip install onnxruntime-gpu on a machine that has one")


RUNTIME = OnCuda()
