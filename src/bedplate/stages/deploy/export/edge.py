"""A bundle for the edge: models in their own files, one small runner, and all that whoever gets it has to know, in one signed folder.

    run.py listen.py send.py    the runner, its server, and what sends its metrics when it is told to; none needs bedplate
    bundle.json models/NAME/    what is in it, and each model in its framework's own file (PyTorch: as ONNX)
    service.py calling.py       of a service: how its function is asked (together.py: for many rows at once; misfits.py: what is wrong with
    together.py misfits.py      a request), and, in code/, the function with all that it reaches
    requirements.txt            every package that the runner needs here, pinned; licences.json says under which licence each is
    card-NAME.md                the model's card; example-NAME.json is a request, expected-NAME.json what it was answered here
    SHA256SUMS, model.sig      what the runner compares at every start; the signature over all of it

Limits: features are looked up where the record is, so that a service gets them with its request; a function that cannot go (`function.py`)
leaves a bundle of its models, which says why. A `Model.of` is code of the project, which only an image brings along.
"""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from bedplate.core import calling, digests, together
from bedplate.core.errors import UserError
from bedplate.core.records import Record
from bedplate.pipeline.code.packages import versions_of
from bedplate.stages.deploy import misfits
from bedplate.stages.deploy.agreement import apart, probes
from bedplate.storage import runtimes

from . import written
from .function import Carried
from .needed import Package, is_installed, packages, pins
from .subject import Exported, Subject

RUNNER: Final = {"runner.py": "run.py", "listener.py": "listen.py", "sender.py": "send.py"}
_CALLER: Final = {
    Path(__file__).with_name("caller.py"): "service.py",
    Path(calling.__file__): "calling.py",
    Path(misfits.__file__): "misfits.py",
    Path(together.__file__): "together.py",
}
_FILES: Final = {"lightgbm": "model.txt", "xgboost": "model.ubj", "sklearn": "model.skops", "onnx": "model.onnx"}
_PACKAGES: Final = {
    "lightgbm": ("lightgbm",), "xgboost": ("xgboost-cpu", "xgboost"), "sklearn": ("skops",), "onnx": ("onnxruntime", "onnxruntime-gpu"),
}  # fmt: skip
"""Runtime -> the package that it takes; where there are several, the first that is installed here."""


class Bundle(Record, frozen=True, kw_only=True):
    """What was written: the folder's files, the versions in it, the packages that it needs, and what its reader has to know."""

    name: str
    models: dict[str, str]
    files: tuple[str, ...]
    packages: tuple[Package, ...]
    notes: tuple[str, ...] = ()


def write(asked: Subject, folder: Path, card: Callable[[str], str], function: Carried | None = None, *, why: str = "") -> Bundle:
    """Write the bundle into an empty folder, all but its signature; `card` gives the card of a version. Raises UserError.

    `function` is that of a service; where there is none, `why` says so.
    """
    if not asked.models:
        raise UserError(f"{asked.name} takes no model", why="a bundle holds models", next=f"bedplate export docker {asked.name}")
    notes: list[str] = []
    about = {one.name: _model(asked.name, one, folder, notes) for one in asked.models}
    needed = packages([*(name for one in about.values() for name in one["packages"]), *_put_function(function, folder)])
    if asked.kind == "service":
        notes.append(function.note if function is not None else why)
    for one in asked.models:
        (folder / f"card-{one.name}.md").write_text(card(one.version.ref), encoding="utf-8")
        _example(one, folder, about[one.name])
    for source, target in RUNNER.items():
        shutil.copyfile(Path(__file__).with_name(source), folder / target)
    described = {
        "format": 1, "name": asked.name, "kind": asked.kind, "python": platform.python_version(), "models": about, "notes": notes,
        "service": None if function is None else function.about,
    }  # fmt: skip
    _put(folder / "bundle.json", described)
    _put(folder / "licences.json", msgspec.to_builtins(needed))
    (folder / "requirements.txt").write_text(pins(needed), encoding="utf-8")
    (folder / "README.md").write_text(_readme(asked, about, notes, is_called=function is not None), encoding="utf-8")
    written.summed(folder)
    refs = {one.name: one.version.ref for one in asked.models}
    return Bundle(name=asked.name, models=refs, files=tuple(written.files(folder)), packages=needed, notes=tuple(notes))


def _model(asked: str, one: Exported, folder: Path, notes: list[str]) -> dict[str, Any]:
    """Put a model's file into the bundle; what the runner has to know of it. Raises UserError for one that it cannot run.

    `asked` is the name of what is exported.
    """
    flavour, place = one.stored.flavour, folder / "models" / one.name
    place.mkdir(parents=True)
    off = 0.0
    if flavour == "torch":
        flavour, off = "onnx", _converted(asked, one, place)
        notes.append(f"{one.version.ref} is there as ONNX; its predictions differ by {off:.2g} at most from those served (256 rows)")
    elif flavour in _FILES and _FILES[flavour] in one.files:
        shutil.copyfile(one.files[_FILES[flavour]], place / _FILES[flavour])
    else:
        raise UserError(
            f"{one.version.ref} does not run without bedplate",
            why=f"it is kept as {flavour}; a bundle takes {', '.join(_FILES)} and torch",
            next=f"bedplate export docker {asked}",
        )
    frame = _frame(one) if flavour == "sklearn" else ""
    return {
        "ref": one.version.ref, "digest": one.version.digest, "runtime": flavour, "file": f"models/{one.name}/{_FILES[flavour]}",
        "packages": [_installed(_PACKAGES[flavour]), *([frame] if frame else [])], "frame": frame, "off": off,
        "inputs": msgspec.to_builtins(one.stored.signature.inputs), "outputs": msgspec.to_builtins(one.stored.signature.outputs),
    }  # fmt: skip


def _put_function(function: Carried | None, folder: Path) -> list[str]:
    """Put a service's function into the bundle; the packages that it needs."""
    if function is None:
        return []
    for name, text in function.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    for source, target in _CALLER.items():
        shutil.copyfile(source, folder / target)
    return ["msgspec", *(name for module in function.imports for name in versions_of(module))]


def _converted(asked: str, one: Exported, place: Path) -> float:
    """Put a model there as ONNX; how far its answers lie from the framework's on the example and rows like it. Raises UserError."""
    if one.source is None:
        raise UserError(f"{one.version.ref} does not compute on rows of numbers", next=f"bedplate export docker {asked}")
    runtimes.runtime("onnxruntime").prepare(one.source, place)
    rows = np.nan_to_num(probes(one.source))
    call = runtimes.runtime("onnxruntime").open(one.source, place)
    return apart(np.asarray(call(rows)), np.asarray(one.source.predictor.rows(rows)))


def _frame(one: Exported) -> str:
    """The library whose frames an estimator was fitted on; empty where it takes a matrix."""
    native = one.model.native
    parts = (native, *(step for _, step in getattr(native, "steps", ())))
    named = any(getattr(part, "feature_names_in_", None) is not None for part in parts)
    return one.stored.library if named and one.stored.library in ("polars", "pandas") else ""


def _installed(names: tuple[str, ...]) -> str:
    return next((name for name in names if is_installed(name)), names[0])


def _example(one: Exported, folder: Path, about: dict[str, Any]) -> None:
    """A request, and what it is answered: by the very model that is served here."""
    rows = one.example
    if not rows:
        return
    columns = {field["name"]: [row.get(field["name"]) for row in rows] for field in about["inputs"]}
    _put(folder / f"example-{one.name}.json", {"model": one.name, "rows": rows})
    answers = np.asarray(one.model.predictor.predict(columns)).tolist()
    _put(folder / f"expected-{one.name}.json", answers)


def _put(path: Path, value: Any) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def _readme(asked: Subject, about: dict[str, Any], notes: list[str], *, is_called: bool) -> str:
    first = asked.models[0].name
    of = "request.json" if is_called else f"example-{first}.json"
    held = "\n".join(f"- {name}: {one['ref']} ({one['runtime']}, {digests.short(one['digest'])})" for name, one in about.items())
    told = "".join(f"\n- {note}" for note in notes)
    service = f"    python run.py < request.json        # {asked.name} itself; --model {first} asks the model\n" if is_called else ""
    return f"""# {asked.name}

{held}
{told}

    pip install -r requirements.txt
    sha256sum --check SHA256SUMS
    python run.py < example-{first}.json
{service}    python run.py --serve 8000           # then: curl http://127.0.0.1:8000/ --data @{of}
    python run.py --send URL --token-file FILE

Whether it is what was signed: `model_signing verify key --signature model.sig --public_key PUBLIC.pem --ignore-paths model.sig .`
What was asked is counted beside this folder, without any value of a row, and sent only when `--send` says so.
"""
