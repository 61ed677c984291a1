"""Runtimes: other ways to call a stored model on rows of numbers, each optional, none of them stored with the model.

The framework's own prediction is what a version means. A runtime is a quicker way to the same numbers on this machine: it is *prepared*
once (trees compiled, a graph exported), into a folder of the state named after the version's digest, and *opened* by whoever loads the
version. Whether it agrees, and whether it is quicker, is measured by who opens it (`stages/deploy`); what does not agree is not used.

What is prepared lies in the state of this machine and not in the store: it is made here from the model's own numbers, and made again
elsewhere. Folders are whole or not there.
"""

from __future__ import annotations

import importlib
import platform
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from bedplate.core import digests
from bedplate.core.errors import UserError
from bedplate.core.model import RowPredictor

from . import disk
from .flavours import Files, Stored

FOLDER: Final = "runtimes"
NATIVE: Final = "native"
"""The framework itself."""
Call = Callable[[Any], Any]
"""Predicts for a 2-d array of float64, as `RowPredictor.rows` does. It may have a `one(values)` for a lone row of plain numbers."""


class Source(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A loaded model: its description, its files, and what predicts."""

    stored: Stored
    files: Files
    predictor: RowPredictor

    @property
    def native(self) -> Any:
        """The framework's own object, where that predicts."""
        return getattr(self.predictor, "native", None)


class Runtime(Protocol):
    """One way to call models of some flavours."""

    def prepare(self, source: Source, folder: Path) -> None:
        """Make what is slow to make, in an empty folder. Raises UserError where the model or the machine does not allow it."""
        ...

    def open(self, source: Source, folder: Path) -> Call:
        """The call, from what was prepared. Raises UserError or CorruptError."""
        ...


MODULES: Final = {
    "compiled": ("runtime_compiled", ("lightgbm", "xgboost", "sklearn")),
    "onnxruntime": ("runtime_onnx", ("lightgbm", "xgboost", "sklearn", "torch")),
    "onnxruntime-cuda": ("runtime_onnx_cuda", ("onnx", "lightgbm", "xgboost", "sklearn", "torch")),
    "torch.export": ("runtime_export", ("torch",)),
}
"""Runtime -> its module in `backends/`, and the flavours that it takes."""
AS_IT_IS: Final = {"onnxruntime-cuda": "onnxruntime"}
"""Those that need nothing prepared: they open the model's own files, or what another runtime prepared."""
_DEVICES: Final = Path("/dev")


def for_flavour(flavour: str) -> tuple[str, ...]:
    """The runtimes that take models of a flavour, but the framework itself."""
    return tuple(name for name, (_, flavours) in MODULES.items() if flavour in flavours)


def place(state: Path, digest: str) -> Path:
    """Where the runtimes of a version lie: by its digest, and what machine it is."""
    return state / FOLDER / f"{digests.short(digest)}-{platform.machine()}"


def prepare(name: str, source: Source, folder: Path) -> None:
    """Make a runtime of a version, whole, in place of an earlier one. Raises UserError where that cannot be done."""
    disk.make_folder(folder)
    with disk.guard("write", folder), tempfile.TemporaryDirectory(prefix=disk.TEMPORARY, dir=folder) as made:
        inside = Path(made) / "made"
        inside.mkdir()
        runtime(name).prepare(source, inside)
        target = folder / name
        if target.exists():
            target.rename(Path(made) / "before")
        inside.rename(target)


def prepared(source: Source, folder: Path, devices: Path = _DEVICES) -> tuple[str, ...]:
    """The runtimes of a version that can be opened here; those of a GPU where `devices` has one."""
    known = for_flavour(source.stored.flavour)
    there = frozenset(name for name in known if (folder / name).is_dir())
    return openable(known, there, is_onnx=source.stored.flavour == "onnx", has_gpu=any(devices.glob("nvidia[0-9]*")))


def openable(known: Sequence[str], there: frozenset[str], *, is_onnx: bool, has_gpu: bool) -> tuple[str, ...]:
    """Of the runtimes that take a flavour, those to try: what is prepared (`there`), and on a GPU what that is of, or the model's own file.

    The GPU's is tried beside the processor's, not in its place: a small model is quicker where it does not travel.
    """
    on_gpu = {name for name, other in AS_IT_IS.items() if has_gpu and (is_onnx or other in there)}
    return tuple(name for name in known if name in there or name in on_gpu)


def opened(name: str, source: Source, folder: Path) -> Call:
    """A runtime's call. Raises UserError or CorruptError where it does not open."""
    return runtime(name).open(source, folder / name)


def runtime(name: str) -> Runtime:
    """The runtime itself. Raises UserError where its package is not installed."""
    if name not in MODULES:
        raise UserError(f"no runtime '{name}'", why=f"this bedplate knows {', '.join(MODULES)}")
    try:
        found: Runtime = importlib.import_module(f"{__package__}.backends.{MODULES[name][0]}").RUNTIME
    except ModuleNotFoundError as error:
        raise UserError(
            f"the runtime {name} needs a package", why=f"{error.name} is not installed", next="pip install 'bedplate[runtimes]'"
        ) from None
    return found
