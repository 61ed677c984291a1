"""What a client's model folder says of itself: its `MLmodel`, read as text, and which of its files a flavour of ours could load.

YAML is read as text (`yaml_text.py`): no tag builds anything, an alias is refused. Nothing of the model itself is opened here: a server
calls this for files that strangers sent. Limits: a description larger than 1 MB, or deeper than 20 levels, is not read, and the model
stays opaque.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bedplate.core.errors import UserError
from bedplate.core.model import Field, Signature
from bedplate.storage.client_models import FILE, MOST_BYTES, Described

from . import yaml_text

_TYPES: Final = {"boolean": "BOOL", "integer": "INT32", "long": "INT64", "float": "FP32", "double": "FP64", "string": "BYTES"}
_TENSORS: Final = {
    "float64": "FP64", "float32": "FP32", "int64": "INT64", "int32": "INT32", "int16": "INT16", "int8": "INT8", "uint8": "UINT8",
    "bool": "BOOL",
}  # fmt: skip
_BESIDE: Final = frozenset({
    FILE, "conda.yaml", "python_env.yaml", "requirements.txt", "input_example.json", "serving_input_example.json", "registered_model_meta",
})  # fmt: skip
_OPENED: Final = {"lightgbm": "data", "xgboost": "data", "sklearn": "pickled_model", "onnx": "data", "pytorch": "model_data"}
"""Our order of preference, and which key of a flavour's description names its file."""
_INSTEAD: Final = {
    "lightgbm": "mlflow.lightgbm.log_model(model.booster_, ...) keeps the booster's own text",
    "xgboost": 'mlflow.xgboost.log_model(model, model_format="ubj", ...)',
    "sklearn": 'mlflow.sklearn.log_model(model, serialization_format="skops", ...), or skops.io.dump(model, "model.skops") and '
    "bedplate import model model.skops --as NAME",
    "onnx": "mlflow.onnx.log_model(model, save_as_external_data=False, ...)",
    "pytorch": 'mlflow.pytorch.log_model(model, serialization_format="pt2", input_example=x, ...), or torch.export and '
    "bedplate import model FILE.pt2 --as NAME",
}
_OTHERWISE: Final = "save it as ONNX, safetensors or its framework's own text, and bedplate import model FILE --as NAME"
_SIGN: Final = "log it with signature=mlflow.models.infer_signature(inputs, outputs), or input_example=inputs"


def described(text: bytes, paths: frozenset[str]) -> Described:
    """What a folder with these paths holds, by its MLmodel. What cannot be read or loaded says why."""
    try:
        if len(text) > MOST_BYTES:
            raise UserError(f"it is larger than {MOST_BYTES} bytes")
        content = yaml_text.read(text.decode(), FILE)
        flavours = content.get("flavors")
        if not isinstance(flavours, dict) or not flavours:
            return Described(why=f"its {FILE} names no flavour", instead=_OTHERWISE)
        return _of(flavours, content.get("signature"), paths)
    except (UserError, UnicodeDecodeError, RecursionError) as error:
        said = error.why if isinstance(error, UserError) and error.why else str(error)
        return Described(why=f"its {FILE} cannot be read: {said.splitlines()[0][:200]}", instead=_OTHERWISE)


def _of(flavours: Mapping[str, Any], signature: Any, paths: frozenset[str]) -> Described:
    known = tuple(str(name)[:100] for name in flavours)[:20]
    name = next((one for one in _OPENED if isinstance(flavours.get(one), dict)), "")
    if not name:
        return Described(flavours=known, why=f"no flavour of ours reads {', '.join(known)}", instead=_OTHERWISE)
    flavour, files, why = _native(name, posixpath.normpath(str(flavours[name].get(_OPENED[name], ""))), paths)
    if why:
        return Described(flavours=known, why=why, instead=_INSTEAD[name])
    found, why = _signature(signature)
    if found is None:
        return Described(flavours=known, why=why, instead=_SIGN)
    return Described(flavours=known, flavour=flavour, files=files, signature=found, library=_library(flavour, signature))


def _native(name: str, data: str, paths: frozenset[str]) -> tuple[str, dict[str, str], str]:
    """Our flavour, the files that it loads by our names for them, and why it cannot."""
    if data.endswith((".pkl", ".pickle", ".pth")):
        return "", {}, f"{data} is a pickle, and loading one runs what it says"
    if name == "pytorch":
        program = posixpath.join(data, "model.pt2")
        return (
            ("torch", {"program.pt2": program}, "")
            if program in paths
            else ("", {}, "its module is pickled, and loading one runs what it says")
        )
    if data not in paths:
        return "", {}, f"its file {data[:100]} is not there"
    if data.endswith(".skops"):
        return "sklearn", {"model.skops": data}, ""
    if name == "lightgbm" and data.endswith(".lgb"):
        return "lightgbm", {"model.txt": data}, ""
    if name == "xgboost" and data.endswith((".ubj", ".json", ".xgb")):
        return "xgboost", {"model.ubj": data}, ""
    if name == "onnx" and data.endswith(".onnx"):
        beside = sorted(path for path in paths if path not in _BESIDE and path != data and not path.startswith(("metadata/", "code/")))
        return ("", {}, f"its weights lie in files beside it ({beside[0][:100]})") if beside else ("onnx", {"model.onnx": data}, "")
    return "", {}, f"no flavour of ours reads {data[:100]}"


def _signature(signature: Any) -> tuple[Signature | None, str]:
    """The inputs and output that a signature states, or why they cannot be told."""
    if not isinstance(signature, dict) or not signature.get("inputs"):
        return None, "it has no signature, so what it takes is not known"
    try:
        columns = msgspec.json.decode(str(signature["inputs"]).encode(), type=list[dict[str, Any]])
    except (msgspec.DecodeError, ValueError):
        return None, "its signature cannot be read"
    if len(columns) == 1 and columns[0].get("type") == "tensor":
        fields, why = _tensor(columns[0].get("tensor-spec"))
    else:
        fields, why = _columns(columns)
    return (None, why) if why else (Signature(fields, (Field("prediction", "FP64"),)), "")


def _columns(columns: list[dict[str, Any]]) -> tuple[tuple[Field, ...], str]:
    fields = tuple(Field(str(one.get("name", f"f{at}"))[:200], _TYPES.get(str(one.get("type")), "")) for at, one in enumerate(columns))
    odd = next((f"{field.name} ({one.get('type')})" for field, one in zip(fields, columns, strict=True) if not field.datatype), "")
    if odd:
        return (), f"its input {odd[:100]} is no number, truth value or text"
    if len({field.name for field in fields}) < len(fields):
        return (), "its signature names an input twice"
    return fields, ""


def _tensor(spec: Any) -> tuple[tuple[Field, ...], str]:
    shape = spec.get("shape") if isinstance(spec, dict) else None
    if not isinstance(shape, list) or len(shape) != 2 or not isinstance(shape[1], int) or not 0 < shape[1] <= 10_000:
        return (), f"its input is a tensor of shape {str(shape)[:60]}, and rows of numbers are needed"
    datatype = _TENSORS.get(str(spec.get("dtype")))
    if datatype is None:
        return (), f"its input is a tensor of {str(spec.get('dtype'))[:40]}"
    return tuple(Field(f"f{at}", datatype) for at in range(shape[1])), ""


def _library(flavour: str, signature: Any) -> str:
    """What an estimator is fed: a frame where its inputs have names."""
    return "pandas" if flavour == "sklearn" and '"tensor"' not in str(signature.get("inputs")) else "rows"
