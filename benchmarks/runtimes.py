"""Runtimes: a model alone, microseconds a row at one row and at 32, by its framework and by each runtime that takes it."""

from __future__ import annotations

from collections.abc import Sequence

from environments import HERE
from measurement import Asked, Finding, Measurement, Table
from measuring import Case, Measured

KINDS = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "histograms": "scikit-learn's histogram trees", "mlp": "MLP of 1M parameters"}
TREES = "compiled"
WAYS = {
    "lightgbm": ("native", "compiled", "onnxruntime"),
    "xgboost": ("native", "compiled", "onnxruntime"),
    "histograms": ("native", "compiled"),
    "mlp": ("native", "onnxruntime", "torch_export"),
}
SCRIPT = str(HERE / "peers" / "runtimes_ours.py")


def cases(asked: Asked) -> list[Case]:
    """A process for each kind of model; what is prepared is kept for the next turn."""
    kinds = ("lightgbm",) if asked.quick else tuple(KINDS)
    environ = {"OMP_NUM_THREADS": "1"}
    return [
        Case(system="bedplate", work=kind, command=(asked.python, SCRIPT, kind), folder=asked.scratch / "runtimes" / kind, environ=environ)
        for kind in kinds
    ]


def judge(measured: Sequence[Measured]) -> list[Finding]:
    """Every figure; goals are about what serves by itself: compiled trees at one row beside the C interface, and at 32."""
    table = Table(measured)
    found: list[Finding] = []
    for kind, name in KINDS.items():
        if ("bedplate", kind) not in table:
            continue
        told = table["bedplate", kind]
        for way in WAYS[kind]:
            try:
                one, many = told.told(f"{kind}_{way}_one"), told.told(f"{kind}_{way}_many")
            except KeyError:
                found.append(Finding(what=f"{name}, {way}: off by more than a millionth, so it is not used", value=1.0, unit="refused"))
                continue
            found.append(Finding(what=f"{name}, {way}: one row", value=one, unit="us"))
            found.append(Finding(what=f"{name}, {way}: 32 rows", value=many, unit="us a row"))
    if ("bedplate", "lightgbm") in table:
        told = table["bedplate", "lightgbm"]
        native, compiled = told.told("lightgbm_native_many"), told.told("lightgbm_compiled_many")
        beside = told.told("lightgbm_booster_one") / told.told("lightgbm_native_one")
        found.append(Finding(what="LightGBM's own Booster.predict beside its C interface, one row", value=beside, unit="times"))
        found.append(
            Finding(what="compiled trees beside LightGBM, 32 rows", value=native / compiled, unit="times", goal=3.0, at_least=True)
        )
    if ("bedplate", "histograms") in table:
        told = table["bedplate", "histograms"]
        beside = told.told("histograms_native_one") / told.told("histograms_compiled_one")
        found.append(Finding(what="compiled trees beside scikit-learn, one row", value=beside, unit="times", goal=50.0, at_least=True))
    return found


RUNTIMES = Measurement(name="runtimes", title="Runtimes of a model", cases=cases, judge=judge)
