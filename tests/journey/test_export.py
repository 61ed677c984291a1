"""What is exported, as whoever gets it uses it: a bundle in an environment with its packages alone and no network, an image's context.

Predictions are the served ones, bit for bit.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bare import bare_python
from conftest import Person, posted, serving
from trackers import Tracker

from bedplate.storage.backends import lightgbm_model

ROWS = [{f"x{at}": value / (at + 3) for at in range(8)} for value in (-1, 0.25, 1 / 3, 2, 7e-5)]


@pytest.fixture(scope="module")
def shop(person: Callable[..., Person]) -> Person:
    one = person("quicker")
    one.types("run")
    return one


@pytest.fixture(scope="module")
def bundle(shop: Person) -> Path:
    shop.types("export", "edge", "ask", "--unsigned", "--to", "ask-bundle")
    return shop.folder / "ask-bundle"


@pytest.fixture(scope="module")
def bare(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with the packages that the bundle lists and no other, that reaches nothing but this machine."""
    return bare_python(bundle / "requirements.txt", tmp_path_factory.mktemp("bare") / "env")


def runs(python: Path, bundle: Path, *words: str, given: Any = None, code: int = 0) -> subprocess.CompletedProcess[str]:
    typed = [str(python), "-I", str(bundle / "run.py"), *words]
    done = subprocess.run(typed, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def served(shop: Person) -> Iterator[str]:
    with serving(shop.folder) as server:
        yield server.url


def test_its_predictions_are_the_served_ones_bit_for_bit(bundle: Path, bare: Path, served: str) -> None:
    """From standard input without a network, and from its own server; by the service and by the Open Inference Protocol."""
    inputs = [{"name": name, "shape": [5], "datatype": "FP64", "data": [row[name] for row in ROWS]} for name in ROWS[0]]
    answers = posted(f"{served}/v2/models/late/infer", {"inputs": inputs})["outputs"][0]["data"]
    assert json.loads(runs(bare, bundle, "--model", "late", given=ROWS).stdout) == answers
    asked = [{name: row[name] for name in ("x0", "x1", "x2")} for row in ROWS]
    called = [one["result"] for one in posted(f"{served}/ask", asked)]
    assert json.loads(runs(bare, bundle, given=asked).stdout) == called
    with subprocess.Popen([str(bare), str(bundle / "run.py"), "--serve", "0"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            url = json.loads(process.stdout.readline())["url"]
            assert posted(url, {"model": "late", "rows": ROWS}) == answers
            assert posted(url, asked) == called
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_the_example_gets_what_it_is_said_to_get(bundle: Path, bare: Path) -> None:
    example = json.loads((bundle / "example-late.json").read_text())
    assert json.loads(runs(bare, bundle, given=example).stdout) == json.loads((bundle / "expected-late.json").read_text())
    about = json.loads((bundle / "bundle.json").read_text())
    assert about["models"]["late"]["ref"] == "late@1"
    assert any("ask itself is in it" in note for note in about["notes"])
    assert {one["name"]: one["licence"] for one in json.loads((bundle / "licences.json").read_text())}["lightgbm"] == "MIT"
    assert "# late@1" in (bundle / "card-late.md").read_text()


def test_what_it_does_not_take_is_said_and_counted(bundle: Path, bare: Path, tmp_path: Path) -> None:
    kept, late = tmp_path / "counted.jsonl", ("--model", "late")
    assert "needs x7" in runs(bare, bundle, *late, "--metrics", str(kept), given=[{f"x{at}": 1 for at in range(7)}], code=2).stderr
    assert "takes numbers" in runs(bare, bundle, *late, "--metrics", str(kept), given=[{**ROWS[0], "x0": "one"}], code=2).stderr
    asked = {"x0": 1, "x1": "one", "x9": 1}
    assert runs(bare, bundle, "--metrics", str(kept), given=asked, code=2).stderr.splitlines() == [
        "error: 'x2' is missing; 'x1': expected `float`, got `str`; 'x9' is not one of its fields",
        "  why:  ask takes x0, x1, x2",
        "  next: send what fits",
    ]
    assert "which model" in runs(bare, bundle, "--model", "other", given=ROWS, code=2).stderr
    lines = [json.loads(line) for line in kept.read_text().splitlines()]
    assert [(line["requests"], line["errors"]) for line in lines] == [(1, 1), (1, 1)]


def test_what_was_counted_is_sent_once_and_only_when_told(bundle: Path, bare: Path, tmp_path: Path) -> None:
    """To the record of `bedplate up`, as the metrics of a run; sending again sends what is new."""
    kept, token = tmp_path / "counted.jsonl", tmp_path / "token"
    for _ in range(2):
        runs(bare, bundle, "--model", "late", "--metrics", str(kept), given=ROWS)
    up = Tracker(tmp_path)
    try:
        token.write_text(up.token)
        send = ("--metrics", str(kept), "--send", up.url, "--token-file", str(token))
        assert json.loads(runs(bare, bundle, *send).stdout) == {"sent": 2}
        assert json.loads(runs(bare, bundle, *send).stdout) == {"sent": 0}
        run = json.loads(Path(f"{kept}.sent").read_text())["run"]
        ask = urllib.request.Request(f"{up.url}/api/2.0/mlflow/runs/get?run_id={run}", headers={"authorization": f"Bearer {up.token}"})
        with urllib.request.urlopen(ask, timeout=30) as reply:
            metrics = {one["key"]: one["value"] for one in json.load(reply)["run"]["data"]["metrics"]}
        assert (metrics["rows"], metrics["errors"]) == (5, 0)
    finally:
        up.kill()


def test_a_file_that_was_changed_is_never_loaded(shop: Person, bare: Path) -> None:
    shop.types("export", "edge", "late", "--unsigned", "--to", "changed")
    model = shop.folder / "changed" / "models" / "late" / lightgbm_model.FILE
    model.write_text(model.read_text().replace("num_leaves=", "num_leaves= ", 1))
    assert "models/late/model.txt is not what was exported" in runs(bare, shop.folder / "changed", given=ROWS, code=3).stderr


def test_it_is_signed_or_said_not_to_be(shop: Person, bare: Path) -> None:
    """With a key it verifies after it was used, and no more after a change; without a key it has to be said."""
    assert "--unsigned" in shop.types("export", "edge", "late", code=2).stderr
    assert not (shop.folder / "late-edge").exists()
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
    form = pytest.importorskip("cryptography.hazmat.primitives.serialization")
    made = ec.generate_private_key(ec.SECP256R1())
    private = made.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    (shop.folder / "key.pem").write_bytes(private)
    public = made.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    (shop.folder / "public.pem").write_bytes(public)
    assert shop.reads("export", "edge", "late", "--key", "key.pem")["signature"] == "model.sig"
    runs(bare, shop.folder / "late-edge", given=ROWS)
    shop.types("verify", "./late-edge", "--key", "public.pem")
    runner = shop.folder / "late-edge" / "run.py"
    runner.write_text(runner.read_text() + "\n")
    shop.types("verify", "./late-edge", "--key", "public.pem", code=4)


@pytest.mark.slow
def test_other_frameworks_go_too_and_what_cannot_is_said(shop: Person) -> None:
    """scikit-learn's own file gives the very predictions; what is there already and what nobody called is refused."""
    shop.types("export", "edge", "net", "--unsigned", "--to", "net")
    said = runs(Path(sys.executable), shop.folder / "net", given=json.loads((shop.folder / "net" / "example-net.json").read_text()))
    assert json.loads(said.stdout) == json.loads((shop.folder / "net" / "expected-net.json").read_text())
    assert "is there already" in shop.types("export", "edge", "net", "--unsigned", "--to", "net", code=2).stderr
    shop.types("export", "edge", "nothing", "--unsigned", code=2)
    assert "no form" in shop.types("export", "boat", "late", code=2).stderr


def test_the_image_starts_from_its_context_and_answers_as_here(shop: Person, served: str, tmp_path: Path) -> None:
    """Its first process brings the record to an empty volume and serves; what asks for its health agrees, and says no when it is gone."""
    place, state = shop.folder / "ask-docker", tmp_path / "state"
    shop.types("export", "docker", "ask")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    about = json.loads((place / "image.json").read_text())
    (place / "image.json").write_text(json.dumps({**about, "port": port}))
    state.mkdir()
    given = {**os.environ, "BEDPLATE_STATE": str(state)}
    healthy = [sys.executable, str(place / "healthy.py")]
    typed = [sys.executable, str(place / "start.py")]
    with subprocess.Popen(typed, cwd=tmp_path, env=given, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert any('"url"' in line for line in process.stdout)
            assert subprocess.run(healthy, check=False).returncode == 0
            asked = {"x0": 0.1, "x1": -2.0, "x2": 1 / 3}
            assert posted(f"http://127.0.0.1:{port}/ask", asked)["result"] == posted(f"{served}/ask", asked)["result"]
        finally:
            process.terminate()
    assert subprocess.run(healthy, check=False, stderr=subprocess.DEVNULL).returncode == 1


def test_manifests_and_repositories_are_written_with_their_next_step(shop: Person) -> None:
    made = shop.reads("export", "kubernetes", "ask", "--image", "registry.example.com/team/ask:7", "--replicas", "3", "9")
    assert made["files"] == ["manifests.yaml"]
    assert any("ask-token" in note for note in made["notes"])
    assert "minReplicas: 3" in (shop.folder / "ask-kubernetes" / "manifests.yaml").read_text()
    assert shop.reads("export", "kserve", "late@1")["files"] == ["inference-service.yaml"]
    assert set(shop.reads("export", "triton", "late")["files"]) == {"late/config.pbtxt", "late/columns.json", "late/1/model.txt"}
    assert "--as NAME" in shop.types("export", "kubernetes", "ask", "--as", "a b", "--to", "other", code=2).stderr
    assert "no address of an image" in shop.types("export", "kserve", "ask", "--image", "$(id)", "--to", "other", code=2).stderr
    assert not (shop.folder / "other").exists()
