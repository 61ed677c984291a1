"""What is in this bundle, without bedplate: Python's library and the one package that bundle.json names for each model.

    python run.py < rows.json                 answer: a row gives a value, a list of rows a list; of a service its requests
    python run.py --model NAME < rows.json    ask that model, where there are several, or a service
    python run.py --serve 8000                answer POST / (a row, a list, or {"model": ..., "rows": ...}) on loopback; GET /health
    python run.py --send URL --token-file F   send the metrics that were kept to the record, as the metrics of a run; then stop

Every file is compared with SHA256SUMS before anything is loaded. What was asked is counted in a file beside this folder (--metrics FILE),
a line for each run or minute, without any value of a row; nothing is sent until it is told to. Categories become codes and missing values
not-a-number, as where the model was served. Exit code 2: rows that the model does not take; 3: a file that is not what it was.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import importlib
import importlib.util
import json
import math
import sys
import threading
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
NEXT = "bundle.json says under `inputs` what is asked for"
TRUSTED = ("sklearn.", "scipy.", "numpy.", "lightgbm.", "collections.")
"""Whose classes a skops file may ask for."""


class Mistake(ValueError):
    """Rows that the model does not take, or words that mean nothing here: what it is, why, and what to do next."""

    def __init__(self, what: str, why: str = "", next: str = "") -> None:
        super().__init__("\n  ".join([what, *([f"why:  {why}"] if why else []), *([f"next: {next}"] if next else [])]))
        self.said = {"what": what, "why": why, "next": next}


def whole(folder: Path) -> dict[str, Any]:
    """What bundle.json says. Ends the process where a file is not what was written, or one that is needed is not vouched for."""
    sums = folder / "SHA256SUMS"
    lines = sums.read_text(encoding="utf-8", errors="replace").splitlines() if sums.is_file() else []
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    for name, digest in wanted.items():
        path = folder / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            changed(name)
    if "bundle.json" not in wanted:
        changed(sums.name)
    bundle: dict[str, Any] = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    for about in bundle["models"].values():
        if about["file"] not in wanted:
            changed(sums.name)
    return bundle


def changed(name: str) -> None:
    """End the process: that file is another than it was."""
    why = "it is not the file that SHA256SUMS vouches for"
    sys.stderr.write(f"error: {name} is not what was exported\n  why:  {why}\n  next: get the bundle again\n")
    sys.exit(3)


class LightGBM:
    """Boosted trees through the library's own C interface, as bedplate asks them: the Python package is not imported."""

    def __init__(self, path: Path, _about: dict[str, Any]) -> None:
        spec = importlib.util.find_spec("lightgbm")
        folder = Path((spec.submodule_search_locations or [""])[0]) if spec else Path()
        found = [file for place in ("lib", "bin", ".", "..") for file in sorted((folder / place).glob("lib_lightgbm.*"))]
        if spec is None or not found:
            raise ModuleNotFoundError("lightgbm", name="lightgbm")
        self.library = ctypes.CDLL(str(found[0]))
        self.library.LGBM_GetLastError.restype = ctypes.c_char_p
        self.handle, outputs = ctypes.c_void_p(), ctypes.c_int64()
        text = path.read_bytes()
        self._call("LGBM_BoosterLoadModelFromString", text, ctypes.byref(ctypes.c_int()), ctypes.byref(self.handle))
        self._call("LGBM_BoosterCalcNumPredict", self.handle, 1, 0, 0, -1, ctypes.byref(outputs))
        self.outputs = outputs.value

    def rows(self, rows: list[list[Any]]) -> list[Any]:
        """Predict for rows of numbers."""
        width = len(rows[0])
        given = (ctypes.c_double * (len(rows) * width))(*[value for row in rows for value in row])
        out = (ctypes.c_double * (len(rows) * self.outputs))()
        count = ctypes.byref(ctypes.c_int64())
        self._call("LGBM_BoosterPredictForMat", self.handle, given, 1, len(rows), width, 1, 0, 0, -1, b"num_threads=1", count, out)
        flat = list(out)
        return flat if self.outputs == 1 else [flat[at : at + self.outputs] for at in range(0, len(flat), self.outputs)]

    def _call(self, function: str, *arguments: Any) -> None:
        if getattr(self.library, function)(*arguments) != 0:
            raise Mistake("LightGBM refused", self.library.LGBM_GetLastError().decode("utf-8", "replace"), NEXT)


class XGBoost:
    """Boosted trees through XGBoost."""

    def __init__(self, path: Path, _about: dict[str, Any]) -> None:
        self.numpy = importlib.import_module("numpy")
        self.booster = importlib.import_module("xgboost").Booster({"nthread": 1})
        self.booster.load_model(bytearray(path.read_bytes()))

    def rows(self, rows: list[list[Any]]) -> list[Any]:
        """Predict for rows of numbers."""
        answer = self.booster.inplace_predict(self.numpy.array(rows, dtype="float64"), validate_features=False)
        return list(self.numpy.asarray(answer, dtype="float64").tolist())


class Sklearn:
    """An estimator or pipeline of scikit-learn, kept by skops; probabilities of a classifier that has them."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.numpy, self.inputs = importlib.import_module("numpy"), about["inputs"]
        skops = importlib.import_module("skops.io")
        asked = skops.get_untrusted_types(file=path)
        foreign = [name for name in asked if not name.startswith(TRUSTED)]
        if foreign:
            raise Mistake(f"the model is made of {', '.join(foreign)}", "such classes are not trusted", "export it as ONNX")
        self.native, self.frame = skops.load(path, trusted=asked), about.get("frame", "")
        self.probabilities = hasattr(self.native, "predict_proba")

    def rows(self, rows: list[list[Any]]) -> list[Any]:
        """Predict for rows of numbers and text."""
        columns = {field["name"]: self._typed(field, [row[at] for row in rows]) for at, field in enumerate(self.inputs)}
        given = self._given(columns)
        answer = self.numpy.asarray(self.native.predict_proba(given) if self.probabilities else self.native.predict(given))
        if self.probabilities and answer.ndim == 2 and answer.shape[1] == 2:
            answer = answer[:, 1]
        return list(answer.tolist())

    def _given(self, columns: dict[str, Any]) -> Any:
        if self.frame == "polars":
            polars = importlib.import_module("polars")
            return polars.DataFrame({name: polars.Series(name, array.tolist()) for name, array in columns.items()})
        if self.frame == "pandas":
            return importlib.import_module("pandas").DataFrame(columns)
        kind = object if any(array.dtype == object for array in columns.values()) else "float64"
        return self.numpy.column_stack([array.astype(kind) for array in columns.values()])

    def _typed(self, field: dict[str, Any], values: list[Any]) -> Any:
        """A column in its own type; whole numbers and truth values only where every value is one."""
        if field["datatype"] == "BYTES":
            return self.numpy.array(values, dtype=object)
        array = self.numpy.array(values, dtype="float64")
        if field["datatype"].startswith("FP"):
            return array
        with self.numpy.errstate(invalid="ignore"):
            exact = array.astype("bool" if field["datatype"] == "BOOL" else "int64")
        return exact if self.numpy.array_equal(exact, array) else array


class Onnx:
    """A graph through ONNX Runtime: with one matrix as its input, or an input for each column."""

    def __init__(self, path: Path, about: dict[str, Any]) -> None:
        self.numpy, runtime = importlib.import_module("numpy"), importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        self.inputs, self.names = self.session.get_inputs(), [field["name"] for field in about["inputs"]]
        outputs = self.session.get_outputs()
        likely = [one for one in outputs if "prob" in one.name.lower()]
        self.output, self.classes = (likely or outputs)[0].name, bool(likely)

    def rows(self, rows: list[list[Any]]) -> list[Any]:
        """Predict for rows of numbers and text."""
        one = self.inputs[0]
        if len(self.inputs) == 1 and (len(self.names) > 1 or one.name != self.names[0]):
            feed = {one.name: self.numpy.array(rows, dtype="float64").astype(self._kind(one))}
        else:
            feed = {one.name: self._column(one, [row[self.names.index(one.name)] for row in rows]) for one in self.inputs}
        (answer,) = self.session.run([self.output], feed)
        if isinstance(answer, list) and answer and isinstance(answer[0], dict):
            answer = [list(row.values()) for row in answer]
        array = self.numpy.asarray(answer)
        if self.classes and array.ndim == 2 and array.shape[1] == 2:
            array = array[:, 1]
        array = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
        return list((array.astype("float64") if array.dtype.kind == "f" else array).tolist())

    def _kind(self, one: Any) -> str:
        name = str(one.type)[len("tensor(") : -1]
        return KINDS.get(name, name)

    def _column(self, one: Any, values: list[Any]) -> Any:
        kind = self._kind(one)
        given = ["" if value is None else str(value) for value in values] if kind == "object" else values
        array = self.numpy.array(given, dtype=kind if kind == "object" else "float64").astype(kind)
        return array.reshape(-1, 1) if len(one.shape) == 2 else array


KINDS = {"float": "float32", "double": "float64", "string": "object"}
RUNTIMES = {"lightgbm": LightGBM, "xgboost": XGBoost, "sklearn": Sklearn, "onnx": Onnx}


class Column:
    """One input: what a caller sends, as the number (or text) that the model computes on."""

    def __init__(self, field: dict[str, Any]) -> None:
        self.name, self.text = field["name"], field["datatype"] == "BYTES"
        read: Any = {"BYTES": str, "BOOL": "True".__eq__}.get(field["datatype"], float)
        self.codes = {read(value): float(code) for code, value in enumerate(field["categories"])}

    def read(self, row: dict[str, Any]) -> Any:
        """The value of a row. Raises Mistake where it is missing from the row, or of another type."""
        if self.name not in row:
            raise Mistake(f"the model needs {self.name}", "the row has no such field", NEXT)
        value = row[self.name]
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return None if self.text and not self.codes else math.nan
        if self.text != isinstance(value, str) or not isinstance(value, (str, int, float)):
            raise Mistake(f"'{self.name}' takes {'text' if self.text else 'numbers'}", f"got {value!r}"[:300], NEXT)
        if self.codes:
            return self.codes.get(value, math.nan)
        try:
            return value if self.text else float(value)
        except OverflowError:
            raise Mistake(f"'{self.name}' is too large a number", "a number has 64 bits", NEXT) from None


class Metrics:
    """What was asked, counted in memory and added to a file: a line a flush."""

    def __init__(self, path: Path, model: str) -> None:
        self.path, self.model, self.lock = path, model, threading.Lock()
        self._clear()

    def _clear(self) -> None:
        self.counts = {"requests": 0, "rows": 0, "errors": 0, "missing": 0}
        self.seconds, self.values = 0.0, [0, 0.0, math.inf, -math.inf]

    def count(self, rows: int, missing: int, seconds: float, answers: list[Any]) -> None:
        """One request that was answered."""
        plain = [value for value in answers if isinstance(value, (int, float)) and math.isfinite(value)]
        with self.lock:
            for name, more in (("requests", 1), ("rows", rows), ("missing", missing)):
                self.counts[name] += more
            self.seconds += seconds
            if plain:
                known, total, low, high = self.values
                self.values = [known + len(plain), total + sum(plain), min(low, *plain), max(high, *plain)]

    def wrong(self) -> None:
        """One request that was not."""
        with self.lock:
            self.counts["requests"] += 1
            self.counts["errors"] += 1

    def flush(self) -> None:
        """Add what was counted since the last time to the file."""
        with self.lock:
            if not self.counts["requests"]:
                return
            line: dict[str, Any] = {"at_ms": int(time.time() * 1000), "model": self.model, **self.counts, "seconds": self.seconds}
            known, total, low, high = self.values
            if known:
                line.update(prediction_mean=total / known, prediction_min=low, prediction_max=high)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            self._clear()


class Model:
    """One model of the bundle, loaded when it is first asked."""

    def __init__(self, name: str, about: dict[str, Any], metrics: Path) -> None:
        self.name, self.about, self.metrics = name, about, Metrics(metrics, about["ref"])
        self.columns, self.lock = [Column(field) for field in about["inputs"]], threading.Lock()
        self.loaded: Any = None

    def load(self) -> None:
        """Have its library load it. Raises ModuleNotFoundError."""
        with self.lock:
            self.loaded = self.loaded or RUNTIMES[self.about["runtime"]](HERE / self.about["file"], self.about)

    def predict(self, rows: Any) -> list[Any]:
        """What `values` gives, as JSON has it."""
        return [plain(value) for value in self.values(rows)]

    def values(self, rows: Any) -> list[Any]:
        """A value (or a list of them) for each row. Raises Mistake, and counts it."""
        try:
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise Mistake("this is no row", "rows are JSON objects, one or a list of them", NEXT)
            made = [[column.read(row) for column in self.columns] for row in rows]
            self.load()
            begun = time.perf_counter()
            with self.lock:
                answers = self.loaded.rows(made) if made else []
        except ModuleNotFoundError:
            raise
        except Exception as error:  # a library may raise anything for rows that it does not take
            self.metrics.wrong()
            raise error if isinstance(error, Mistake) else _failed("the model", error) from None
        missing = sum(1 for row in made for value in row if value is None or (isinstance(value, float) and math.isnan(value)))
        self.metrics.count(len(rows), missing, time.perf_counter() - begun, answers)
        return list(answers)


def _failed(who: str, error: Exception) -> Mistake:
    return Mistake(f"{who} does not answer this", f"it raised {type(error).__name__}: {error}"[:300], "send what it was made for")


def plain(value: Any) -> Any:
    """A value as JSON has it: what is no number is null."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read(text: str | bytes) -> Any:
    """What was asked. Raises Mistake for what is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Mistake("what was asked is not JSON", str(error)[:300], "send one JSON object, or a list of them") from None


def answer(models: dict[str, Model], asked: Any, name: str = "", service: Any = None) -> Any:
    """What a request gets. Raises Mistake."""
    if isinstance(asked, dict) and isinstance(asked.get("rows"), list) and asked.keys() <= {"model", "rows"}:
        name, asked = str(asked.get("model") or name), asked["rows"]
    if service is not None and not name:
        return called(service, asked)
    if name not in models and (name or len(models) > 1):
        raise Mistake("which model?", f"this bundle has {', '.join(models)}", "name it: --model NAME, or {'model': NAME, 'rows': [...]}")
    model = models[name] if name else next(iter(models.values()))
    return model.predict([asked])[0] if isinstance(asked, dict) else model.predict(asked)


def called(service: Any, asked: Any) -> Any:
    """What the function of the bundle's service answers. Raises Mistake, also for what the function raises."""
    try:
        return service.answer(asked)
    except (Mistake, ModuleNotFoundError):
        raise
    except Exception as error:  # the function may raise anything
        raise _failed("the function", error) from None


def served(bundle: dict[str, Any], models: dict[str, Model]) -> Any:
    """The bundle's service; None where it has none. Raises ModuleNotFoundError."""
    if not bundle.get("service"):
        return None
    return importlib.import_module("service").Service(HERE, bundle["service"], models, Mistake)


def main(words: list[str]) -> int:
    """Do what was asked; the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("--model", default="", help="which model, where there are several")
    parser.add_argument("--serve", type=int, metavar="PORT", help="answer on loopback; 0 takes a free port")
    parser.add_argument("--metrics", type=Path, default=HERE.with_name(HERE.name + ".metrics.jsonl"), help="the file that counts")
    parser.add_argument("--send", metavar="URL", help="send the metrics to a record that speaks MLflow's API")
    parser.add_argument("--token-file", type=Path, help="the token that the record asks for")
    asked = parser.parse_args(words)
    bundle = whole(HERE)
    models = {name: Model(name, about, asked.metrics) for name, about in bundle["models"].items()}

    def flush() -> None:
        for model in models.values():
            model.metrics.flush()

    sys.dont_write_bytecode = True  # a bundle is signed as it is
    sys.path.insert(0, str(HERE))
    try:
        if asked.send:
            sent = importlib.import_module("send").send(asked.send, asked.token_file, asked.metrics, bundle["name"])
            print(json.dumps({"sent": sent}))
        elif asked.serve is not None:
            service = served(bundle, models)
            for model in models.values():
                model.load()
            about = {"models": {name: model.about["ref"] for name, model in models.items()}}
            importlib.import_module("listen").serve(lambda given: answer(models, read(given), "", service), about, flush, asked.serve)
        else:
            service = served(bundle, models)
            print(json.dumps(answer(models, read(sys.stdin.read()), asked.model, service)))
    except ModuleNotFoundError as error:
        sys.stderr.write(f"error: {error.name} is not installed\n  next: pip install -r requirements.txt\n")
        return 2
    except (ValueError, RecursionError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    finally:
        flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
