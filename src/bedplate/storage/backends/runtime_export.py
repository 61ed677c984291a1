"""torch.export: a module as a program of plain operators, without the Python of its class."""

from __future__ import annotations

import inspect
from pathlib import Path

import torch

from bedplate.core.errors import UserError
from bedplate.storage.runtimes import Call, Source

from . import torch_model


class Exported:
    """The runtime."""

    def prepare(self, source: Source, folder: Path) -> None:
        """Export the module. Raises UserError where its forward() cannot be traced."""
        native = source.native
        if not isinstance(source.predictor, torch_model.Together) or not isinstance(native, torch.nn.Module):
            raise UserError("this module cannot be exported", why="it is a program already, or takes its inputs one by one")
        name = next(iter(inspect.signature(native.forward).parameters))
        sample = torch.zeros(2, len(source.stored.signature.inputs))
        try:
            program = torch.export.export(native, (sample,), dynamic_shapes={name: {0: torch.export.Dim("batch", min=1, max=1 << 20)}})
        except Exception as error:  # tracing raises many kinds
            raise UserError("this module cannot be exported", why=str(error).strip().splitlines()[0][:300]) from None
        torch_model.save_program(program, folder / torch_model.PROGRAM)

    def open(self, source: Source, folder: Path) -> Call:
        """The program's call. Raises CorruptError."""
        found = torch_model.called(torch_model.load_program(folder / torch_model.PROGRAM).module(), source.stored.signature)
        if not isinstance(found, torch_model.Together):
            raise UserError("the exported program takes its inputs one by one", why="rows of numbers are asked as one matrix")
        return found.rows


RUNTIME = Exported()
