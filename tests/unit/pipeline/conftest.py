"""Projects written as text, loaded as a user's file is; what loading changes of this process is put back."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bedplate.pipeline.load import Loaded, load_project

Write = Callable[..., Loaded]
HEAD = """\
from typing import Any, Literal, NamedTuple
from pathlib import Path
import polars as pl
from bedplate import Check, Context, Features, Files, Model, Package, Pickle, Project, Secret, daily, tune, use

p = Project("p")
"""


@pytest.fixture(autouse=True)
def _imports(tmp_path: Path) -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Write:
    """`project(text, helpers=text, **{"lib/deep": text})` writes `flow.py` (with the usual imports) and other files, and loads it."""
    edits = 0

    def write(text: str, *, head: str = HEAD, **others: str) -> Loaded:
        nonlocal edits
        edits += 1
        for name, content in {"flow": head + textwrap.dedent(text), **others}.items():
            file = tmp_path / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            # A comment of another length every time, so that no stale byte code is taken for a helper.
            file.write_text(textwrap.dedent(content) + f"\n#{'.' * edits}\n")
        return load_project(tmp_path / "flow.py")

    return write
