"""Which runtimes are tried for a stored model: by its flavour, what is prepared, and whether the machine has a GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bedplate.core.model import Signature
from bedplate.storage.flavours import Stored
from bedplate.storage.runtimes import AS_IT_IS, MODULES, Source, for_flavour, openable, prepared

KNOWN = for_flavour("lightgbm")
NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("there", "is_onnx", "has_gpu", "tried"),
    [
        (NONE, False, False, ()),
        (NONE, False, True, ()),
        (frozenset({"compiled"}), False, True, ("compiled",)),
        (frozenset({"onnxruntime"}), False, False, ("onnxruntime",)),
        (frozenset({"onnxruntime"}), False, True, ("onnxruntime", "onnxruntime-cuda")),
        (NONE, True, True, ("onnxruntime-cuda",)),
        (NONE, True, False, ()),
    ],
)
def test_a_gpu_is_tried_beside_the_processor_where_there_is_one(
    there: frozenset[str], is_onnx: bool, has_gpu: bool, tried: tuple[str, ...]
) -> None:
    """With the model's own file, or with what was prepared for the processor; never without a device, never in its place."""
    assert openable(KNOWN, there, is_onnx=is_onnx, has_gpu=has_gpu) == tried


def test_the_machines_devices_and_the_folder_are_looked_at(tmp_path: Path) -> None:
    """A device file of the driver is a GPU; its control file alone is none."""
    folder, devices = tmp_path / "runtimes", tmp_path / "dev"
    (folder / "onnxruntime").mkdir(parents=True)
    devices.mkdir()
    nobody: Any = None
    source = Source(stored=Stored(flavour="sklearn", library="rows", signature=Signature((), ())), files={}, predictor=nobody)
    (devices / "nvidiactl").touch()
    assert prepared(source, folder, devices) == ("onnxruntime",)
    (devices / "nvidia0").touch()
    assert prepared(source, folder, devices) == ("onnxruntime", "onnxruntime-cuda")


def test_what_is_opened_as_it_is_is_a_runtime_and_so_is_what_it_opens() -> None:
    """The tables agree."""
    assert all(name in MODULES and other in MODULES for name, other in AS_IT_IS.items())
