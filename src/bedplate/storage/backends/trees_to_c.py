"""Trees as C: Treelite reads the frameworks' models; what `trees_to_tables.py` takes becomes tables, TL2cgen writes the others.

Only whoever compiles imports these.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from bedplate.core import extras
from bedplate.core.errors import UserError
from bedplate.storage.runtimes import Source

from . import lightgbm_model, trees_to_tables, xgboost_trees

tl2cgen: Any = extras.load("tl2cgen", "compiling trees", "runtimes")
treelite: Any = extras.load("treelite", "compiling trees", "runtimes")

_UNIT_TREES: Final = 25
_MOST_UNITS: Final = 64
_REFUSALS: Final[tuple[type[Exception], ...]] = (treelite.TreeliteError, tl2cgen.TL2cgenError, NotImplementedError)
"""How the two say that they do not take a model; the last is Treelite's own word for text categories and for an initial estimator."""
_C: Final = {"float32": "float", "float64": "double"}


def written(source: Source, folder: Path) -> dict[str, Any]:
    """Write the model as C files; what their caller needs to know, with `threshold` where a loop around them is wanted.

    Raises UserError for a model that Treelite does not take.
    """
    try:
        with _quietly():
            model = _model(source)
            if (about := trees_to_tables.written(model, folder)) is not None:
                return about
            units = max(1, min(_MOST_UNITS, model.num_tree // _UNIT_TREES))
            tl2cgen.generate_c_code(model, folder, {"parallel_comp": units} if units > 1 else {})
    except _REFUSALS as error:
        raise UserError(
            f"a {source.stored.flavour} model of this kind cannot be compiled", why=str(error).strip().splitlines()[0][:300]
        ) from None
    main = (folder / "main.c").read_text()
    header = (folder / "header.h").read_text()
    width, targets, classes = len(source.stored.signature.inputs), _number(header, "N_TARGET"), _number(header, "MAX_N_CLASS")
    answer = np.asarray(source.predictor.rows(np.zeros((1, width))))
    return {
        "width": width,
        "outputs": targets * classes,
        "flat": answer.ndim == 1 and targets * classes > 1,
        "threshold": _C[_text(main, "get_threshold_type")],
        "leaf": _C[_text(main, "get_leaf_output_type")],
    }


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Both libraries tell of their versions on the terminal, past Python; what they have to say that matters is raised."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        with contextlib.redirect_stdout(None):
            yield
    finally:
        for at, descriptor in enumerate(kept, start=1):
            os.dup2(descriptor, at)
            os.close(descriptor)
        os.close(nowhere)


def _model(source: Source) -> Any:
    files, flavour = source.files, source.stored.flavour
    if flavour == "lightgbm":
        return treelite.frontend.load_lightgbm_model(files[lightgbm_model.FILE])
    if flavour == "xgboost":
        text = bytes(source.native.save_raw("json"))
        xgboost_trees.check(text)
        return treelite.frontend.from_xgboost_json(json.dumps(json.loads(text)))
    return extras.load("treelite.sklearn", "compiling trees", "runtimes").import_model(source.native)


def _number(text: str, name: str) -> int:
    found = re.search(rf"#define {name} (\d+)", text)
    if found is None:
        raise UserError("the generated C is of an unknown form", why=f"it does not say {name}", next="pip install 'bedplate[runtimes]'")
    return int(found.group(1))


def _text(text: str, name: str) -> str:
    found = re.search(rf'{name}\(void\) {{\s*return "(\w+)"', text)
    if found is None:
        raise UserError("the generated C is of an unknown form", why=f"it does not say {name}", next="pip install 'bedplate[runtimes]'")
    return found.group(1)
