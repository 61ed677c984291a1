"""XGBoost, ONNX and PyTorch at the edge: each bundle in an environment with its own packages alone and no network, its service too."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bare import bare_python
from conftest import Person, posted, serving

pytestmark = pytest.mark.slow
for _name in ("xgboost", "onnxruntime", "skl2onnx", "torch"):
    pytest.importorskip(_name)

ROWS = [{"x0": x, "x1": -x / 3, "x2": 1e-3} for x in (-2.5, -1 / 3, 0.0, 7e-5, 1.75, 3e4)]


@pytest.fixture(scope="module")
def mill(person: Callable[..., Person]) -> Person:
    one = person("frameworks")
    one.types("run")
    return one


@pytest.fixture(scope="module")
def served(mill: Person) -> Iterator[str]:
    with serving(mill.folder) as server:
        yield server.url


def bundled(mill: Person, name: str, place: Path) -> Callable[..., Any]:
    """Export it, and how its runner is asked in a bare environment: rows in, answers out."""
    mill.types("export", "edge", name, "--unsigned", "--to", f"{name}-edge")
    bundle = mill.folder / f"{name}-edge"
    python = bare_python(bundle / "requirements.txt", place / name)

    def asked(given: Any, *words: str) -> Any:
        typed = [str(python), "-I", str(bundle / "run.py"), *words]
        done = subprocess.run(typed, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return asked


def installed(mill: Person, name: str) -> set[str]:
    """The packages that a bundle asks for."""
    return {line.partition("==")[0] for line in (mill.folder / f"{name}-edge" / "requirements.txt").read_text().splitlines()}


@pytest.mark.parametrize(
    ("name", "needs", "never", "off"),
    [("trees", "xgboost", "torch", 0.0), ("line", "onnxruntime", "skl2onnx", 0.0), ("net", "onnxruntime", "torch", 1e-6)],
)
def test_each_framework_runs_with_its_own_packages_alone(
    mill: Person, tmp_path: Path, name: str, needs: str, never: str, off: float
) -> None:
    """What it says of its example is what was said here: to the bit by the same library, PyTorch as ONNX to the last digits."""
    ask = bundled(mill, name, tmp_path)
    folder = mill.folder / f"{name}-edge"
    expected = json.loads((folder / f"expected-{name}.json").read_text())
    answers = ask(json.loads((folder / f"example-{name}.json").read_text()))
    assert answers == (pytest.approx(expected, abs=off) if off else expected)
    assert ask(ROWS[0]) == ask(ROWS)[0]
    packages = installed(mill, name)
    assert any(one.startswith(needs) for one in packages)
    assert not {never, "bedplate", "polars", "msgspec"} & packages


def test_a_service_of_two_models_and_one_that_streams_say_what_is_served(mill: Person, served: str, tmp_path: Path) -> None:
    """Each asked by its framework's own library, as the function combines them; the generator's values as a list."""
    ask = bundled(mill, "sieve", tmp_path)
    here = [one["result"] for one in posted(f"{served}/sieve", ROWS)]
    there = ask(ROWS)
    for one, other in zip(here, there, strict=True):
        assert one == pytest.approx(other, abs=1e-6)
    assert there[0]["both"] is None
    assert {"msgspec", "onnxruntime"} <= installed(mill, "sieve")
    assert not {"torch", "polars", "scikit-learn", "skl2onnx"} & installed(mill, "sieve")
    steps = bundled(mill, "steps", tmp_path)
    assert steps({"x0": 0.25}) == pytest.approx(posted(f"{served}/steps", {"x0": 0.25})["result"], abs=1e-6)
