"""Models as ONNX, with one float32 matrix as their input, by the converters of each framework's own world.

LightGBM and XGBoost by onnxmltools, scikit-learn by skl2onnx, PyTorch by torch.onnx; onnx itself checks what came out.
"""

from __future__ import annotations

import importlib
import inspect
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bedplate.core import extras
from bedplate.core.errors import UserError
from bedplate.storage.runtimes import Source

from . import lightgbm_model

onnx: Any = extras.load("onnx", "exporting to ONNX", "runtimes")

_OPSET: Final = {"": 15, "ai.onnx.ml": 3}
_INPUT: Final = "rows"
_MOST_ROWS: Final = 1 << 20
_IN_INT8: Final = {"MatMulInteger", "ConvInteger", "DynamicQuantizeLinear", "QLinearMatMul", "QuantizeLinear"}
_CALIBRATED_AT_ONCE: Final = 100
_AS_IT_IS: Final = {"QDQDisableWeightAdjustForInt32Bias": True}
"""onnxruntime 1.31 cannot adjust a weight's scales where each column has one."""


def exported(source: Source) -> bytes:
    """The model's bytes as ONNX. Raises UserError for one that no converter takes."""
    make = {"lightgbm": _lightgbm, "xgboost": _xgboost, "sklearn": _sklearn, "torch": _torch}.get(source.stored.flavour)
    if make is None:
        raise UserError(f"a {source.stored.flavour} model cannot be exported to ONNX", why=f"known: {', '.join(_KNOWN)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = make(source, len(source.stored.signature.inputs))
        onnx.checker.check_model(model)
    except (ModuleNotFoundError, UserError):
        raise
    except Exception as error:  # converters raise whatever they like for a model that they do not know
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"this {source.stored.flavour} model cannot be exported to ONNX", why=said[0][:300]) from None
    data: bytes = model.SerializeToString(deterministic=True)
    return data


_KNOWN: Final = ("lightgbm", "xgboost", "sklearn", "torch")


def _lightgbm(source: Source, width: int) -> Any:
    booster = importlib.import_module("lightgbm").Booster(model_file=source.files[lightgbm_model.FILE])
    return _by_tools().convert_lightgbm(booster, initial_types=_typed(width), zipmap=False, target_opset=_OPSET[""])


def _xgboost(source: Source, width: int) -> Any:
    native = source.native.copy()
    native.feature_names = None
    return _by_tools().convert_xgboost(native, initial_types=_typed(width), target_opset=_OPSET[""])


def _sklearn(source: Source, width: int) -> Any:
    native = source.native
    options = {"zipmap": False} if hasattr(native, "predict_proba") else None
    convert = importlib.import_module("skl2onnx").to_onnx
    types = importlib.import_module("skl2onnx.common.data_types")
    return convert(native, initial_types=[(_INPUT, types.FloatTensorType([None, width]))], options=options, target_opset=_OPSET)


def _torch(source: Source, width: int) -> Any:
    torch = importlib.import_module("torch")
    name = next(iter(inspect.signature(source.native.forward).parameters))
    rows = {name: {0: torch.export.Dim("batch", min=1, max=_MOST_ROWS)}}
    sample = (torch.zeros(2, width),)
    program = torch.onnx.export(source.native, sample, input_names=[_INPUT], dynamic_shapes=rows, dynamo=True, verbose=False)
    return program.model_proto


def _by_tools() -> Any:
    return importlib.import_module("onnxmltools")


def _typed(width: int) -> list[tuple[str, Any]]:
    types = importlib.import_module("onnxmltools.convert.common.data_types")
    return [(_INPUT, types.FloatTensorType([None, width]))]


def quantised(data: bytes, folder: Path) -> bytes:
    """A model with its weights in int8, and its inputs' scale found for each batch (dynamic quantisation). Raises UserError."""
    quantisation = importlib.import_module("onnxruntime.quantization")
    before, after = folder / "before.onnx", folder / "after.onnx"
    before.write_bytes(data)
    with _quiet():
        quantisation.quantize_dynamic(before, after, weight_type=quantisation.QuantType.QInt8)
    return _in_int8(after)


def calibrated(data: bytes, matrix: Any, folder: Path, *, narrow: bool) -> bytes:
    """A model with its weights and values in int8, at scales found on rows of float64 (static quantisation); `narrow`: weights in 7 bits.

    Raises UserError for a model that takes no matrix, or of which nothing can be quantised.
    """
    quantisation = importlib.import_module("onnxruntime.quantization")
    shapes = importlib.import_module("onnxruntime.quantization.shape_inference")
    given = onnx.load_from_string(data).graph.input
    if len(given) != 1:
        raise UserError("the model takes its inputs one by one", why="scales are found on one matrix", next="--quantise int8")
    kind = onnx.helper.tensor_dtype_to_np_dtype(given[0].type.tensor_type.elem_type)
    before, shaped, after = folder / "before.onnx", folder / "shaped.onnx", folder / "after.onnx"
    before.write_bytes(data)
    with _quiet():
        shapes.quant_pre_process(before, shaped, skip_symbolic_shape=True)
        quantisation.quantize_static(
            shaped, after, _Fed(given[0].name, matrix.astype(kind)), per_channel=True, reduce_range=narrow,
            activation_type=quantisation.QuantType.QUInt8, weight_type=quantisation.QuantType.QInt8, extra_options=_AS_IT_IS,
        )  # fmt: skip
    return _in_int8(after)


class _Fed:
    """Rows in batches, as what finds scales asks for them."""

    def __init__(self, name: str, matrix: Any) -> None:
        self._parts = iter([{name: matrix[at : at + _CALIBRATED_AT_ONCE]} for at in range(0, len(matrix), _CALIBRATED_AT_ONCE)])

    def get_next(self) -> dict[str, Any] | None:
        """The next batch; None after the last."""
        return next(self._parts, None)


@contextmanager
def _quiet() -> Iterator[None]:
    """It advises pre-processing on the root logger, which is the program's own."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def _in_int8(made: Path) -> bytes:
    """The bytes of a model that was quantised. Raises UserError where nothing of it was."""
    kinds = {node.op_type for node in onnx.load(str(made)).graph.node}
    if not kinds & _IN_INT8:
        raise UserError("nothing in the model can be quantised", why=f"it is made of {', '.join(sorted(kinds))}"[:300])
    return made.read_bytes()
