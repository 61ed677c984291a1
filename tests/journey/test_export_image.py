"""What `export docker` writes, built and run step by step as an engine would, without one: its file is read, its steps are done here."""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bare import bare_python
from conftest import Person

pytestmark = pytest.mark.slow
Step = tuple[str, str]


@pytest.fixture(scope="module")
def context(person: Callable[..., Person]) -> Path:
    """What was exported. Skipped where bedplate was installed before it needed what it needs now: its metadata is what is pinned."""
    wanted = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    if missing := names_of(wanted) - names_of(importlib.metadata.requires("bedplate") or []):
        pytest.skip(f"the installed metadata of bedplate lacks {', '.join(sorted(missing))}: install it again")
    one = person("quicker")
    one.types("run")
    one.types("export", "docker", "ask", "--to", "image")
    return one.folder / "image"


def names_of(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", one, maxsplit=1)[0] for one in requirements}


def steps(context: Path) -> list[list[Step]]:
    """The instructions of the Dockerfile, stage by stage."""
    stages: list[list[Step]] = []
    for line in (context / "Dockerfile").read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        if stages:
            stages[-1].append((word, rest))
    return [[one for one in stage if one[0]] for stage in stages]


def sent(context: Path) -> list[str]:
    """The files of the context that reach an engine: all but those that .dockerignore names."""
    ignored = (context / ".dockerignore").read_text().split()
    names = (path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file())
    return [name for name in names if not any(fnmatch.fnmatch(name, one) or name.startswith(f"{one}/") for one in ignored)]


def listed(text: str) -> list[str]:
    """The words of a command in the form of a list."""
    words: list[str] = json.loads(text[text.index("[") :])
    return words


@pytest.fixture(scope="module")
def image(context: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of the image: each COPY done, packages where its venv has them, no file of the context that is not sent."""
    root = tmp_path_factory.mktemp("root")
    build, last = steps(context)
    assert ["/venv/bin/pip", "install", "--no-cache-dir", "--no-deps", "--find-links", "wheels", "--requirement", "requirements.txt"] in [
        listed(rest) for word, rest in build if word == "RUN"
    ]
    bare_python(context / "requirements.txt", root / "venv")
    for name in sent(context):
        (root / "app" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(context / name, root / "app" / name)
    assert ("COPY", "--from=build /venv /venv") in last
    assert ("COPY", ". /app") in last
    (root / "state").mkdir()
    return root


@pytest.fixture
def started(context: Path, image: Path) -> Iterator[tuple[str, Path]]:
    """The container: its entry point with its environment and nothing else; the address, and its state."""
    _, last = (
        steps(image / "app") if (image / "app" / "Dockerfile").exists() else steps(next(image.parent.rglob("image/Dockerfile")).parent)
    )
    env = dict(one.split("=", 1) for word, rest in last if word == "ENV" for one in rest.split())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    about = json.loads((image / "app" / "image.json").read_text())
    (image / "app" / "image.json").write_text(json.dumps({**about, "port": port}))
    given = {name: re.sub(r"(^|:)/(?=venv|state|tmp)", rf"\g<1>{image}/", value) for name, value in env.items()}
    (entry,) = [listed(rest) for word, rest in last if word == "ENTRYPOINT"]
    (image / "tmp").mkdir(exist_ok=True)
    with subprocess.Popen([f"{image}{one}" for one in entry], cwd=image / "app", env=given, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = next(line for line in process.stdout if '"url"' in line)
            yield json.loads(ready)["url"], image / "state"
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_every_step_has_what_it_names(context: Path) -> None:
    """What is copied is there and is sent, what is run is copied, bases are of a version, and who runs it may do nothing."""
    names = set(sent(context))
    build, last = steps(context)
    for word, rest in build:
        if word == "COPY":
            source = rest.split()[0]
            assert source in names or any(name.startswith(f"{source}/") for name in names)
    for word, rest in last:
        if word in ("ENTRYPOINT", "HEALTHCHECK"):
            assert listed(rest)[1].removeprefix("/app/") in names
    assert re.search(r"^ARG BASE=python:3\.\d+-slim$", (context / "Dockerfile").read_text(), re.MULTILINE)
    order = [word for word, _ in last]
    assert order.index("USER") < order.index("ENTRYPOINT")
    assert not {"ADD", "EXPOSE"} & set(order)
    assert not {name for name in names if name.startswith("proxy") or name in ("compose.yaml", "Dockerfile")}


def test_nothing_secret_is_sent_and_the_proxy_alone_asks_for_the_token(context: Path) -> None:
    text = "".join((context / name).read_text() for name in ("image.json", "Dockerfile", "requirements.txt"))
    assert "TOKEN" not in text
    assert "BEDPLATE_TOKEN" in (context / "proxy" / "default.conf.template").read_text()


def test_it_starts_with_its_own_packages_and_environment_alone(started: tuple[str, Path], image: Path) -> None:
    """It brings the record to an empty volume, answers, is healthy; what it writes is in the volume and nowhere in the application."""
    url, state = started
    before = {path for path in (image / "app").rglob("*") if path.is_file()}
    request = urllib.request.Request(f"{url}/ask", b'{"x0": 0.1, "x1": -2.0, "x2": 0.3}', {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        answer: dict[str, Any] = json.load(reply)
    assert 0 < answer["result"] < 1
    healthy = subprocess.run([str(image / "venv/bin/python"), str(image / "app/healthy.py")], env={"PATH": os.defpath}, check=False)
    assert healthy.returncode == 0
    assert (state / ".restored").exists()
    assert {path for path in (image / "app").rglob("*") if path.is_file()} == before
