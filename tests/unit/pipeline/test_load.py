"""Loading a project file: found, imported anew, and every mistake of the user's told with file and line, without a traceback."""

from __future__ import annotations

import sys
import typing
from collections.abc import Callable
from pathlib import Path

import pytest

from bedplate.core.errors import NotFound, ProjectError, UserError
from bedplate.pipeline.code.load import Loaded, declared_name, find_project, load_project

Write = Callable[..., Loaded]
MAKES = "from bedplate import Project\np = Project('p')\n"

BROKEN = [
    ("syntax", "def f(:\n", r"flow\.py:8: ", "def f(:"),
    ("name", "x = 1\ny = whence\n", r"flow\.py:9: NameError: name 'whence' is not defined", "y = whence"),
    ("missing package", "import nosuchpackage.part\n", r"flow\.py:8: no module 'nosuchpackage'", "pip install nosuchpackage"),
    ("missing extra", "import lightgbm.nosuchpart\n", r"flow\.py:8: no module", "pip install 'bedplate[lightgbm]'"),
    ("exit", "raise SystemExit(2)\n", r"flow\.py:8: the file ends the program", "__main__"),
    ("a keyword of ours", "@p.train(ram='1 GB')\ndef f() -> Model: ...\n", r"flow\.py:8: f: no keyword 'ram'", "cpu"),
    ("a unit of ours", "@p.train(time='soon')\ndef f() -> Model: ...\n", r"flow\.py:8: 'soon' is not a duration", "5 min"),
    ("tune", "def f(x: int = tune(1, 2, default=3)): ...\n", r"flow\.py:8: tune\(1, 2, default=3\)", ""),
]


@pytest.mark.parametrize(("text", "message", "told"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_broken_file_is_told_with_its_line(project: Write, text: str, message: str, told: str) -> None:
    with pytest.raises(ProjectError, match=message) as caught:
        project("\n" + text)
    assert told in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert "flow" not in sys.modules


def test_a_mistake_in_a_helper_names_the_helper(project: Write) -> None:
    with pytest.raises(ProjectError, match=r"helpers\.py:2: ZeroDivisionError"):
        project("import helpers", helpers="x = 1\ny = x / 0\n")
    with pytest.raises(ProjectError, match=r"helpers\.py:1: "):
        project("import helpers", helpers="def f(:\n")


def test_no_project_and_two_projects(project: Write) -> None:
    with pytest.raises(ProjectError, match="no Project in it") as caught:
        project("x = 1", head="")
    assert 'flow = Project("flow")' in caught.value.next
    with pytest.raises(ProjectError, match="2 Projects in it: p, q"):
        project("q = Project('q')")
    assert project("q = p").project.name == "p"


def test_a_project_may_be_declared_in_several_files(project: Write) -> None:
    """The Project of another file counts where it is imported, and is declared once per load."""
    files = {"base": MAKES, "steps": "from base import p\n\n@p.step\ndef s() -> int: ...\n"}
    for _ in range(2):
        loaded = project("from base import p\nimport steps\n", head="", **files)
        assert [declared.name for declared in loaded.project.declarations] == ["s"]


def test_an_edited_helper_is_seen_at_the_next_load(project: Write) -> None:
    assert vars(project("from helpers import X", helpers="X = 1").module)["X"] == 1
    assert vars(project("from helpers import X", helpers="X = 2").module)["X"] == 2


def test_two_projects_may_have_helpers_of_one_name(project: Write, tmp_path: Path) -> None:
    first = project("from helpers import X", helpers="X = 1")
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "helpers.py").write_text("X = 10\n")
    (folder / "flow.py").write_text(f"{MAKES}from helpers import X\n")
    assert vars(load_project(folder / "flow.py").module)["X"] == 10
    assert vars(load_project(first.file).module)["X"] == 1


def test_the_module_is_named_after_the_file(project: Write) -> None:
    """So that type hints resolve and a pickle finds its class again."""
    loaded = project("class Mine: ...\n\ndef f(x: 'Mine') -> None: ...")
    assert sys.modules["flow"] is loaded.module
    assert typing.get_type_hints(vars(loaded.module)["f"])["x"] is vars(loaded.module)["Mine"]


def test_a_file_that_imports_its_own_name_hides_a_package(tmp_path: Path) -> None:
    """`polars.py` with `import polars as pl` in it would import itself."""
    (tmp_path / "nosuchpackage.py").write_text(f"import nosuchpackage.part\n{MAKES}")
    with pytest.raises(ProjectError, match="hides the package 'nosuchpackage'"):
        load_project(tmp_path / "nosuchpackage.py")


@pytest.mark.parametrize("name", ["bedplate", "json", "pytest"])
def test_a_file_that_hides_a_package_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.py").write_text(MAKES)
    with pytest.raises(ProjectError, match=f"hides the package '{name}'"):
        load_project(tmp_path / f"{name}.py")


def test_a_file_may_have_a_name_that_is_no_identifier(tmp_path: Path) -> None:
    (tmp_path / "2nd-flow.py").write_text(MAKES)
    assert load_project(tmp_path / "2nd-flow.py").module.__name__ == "_2nd_flow"


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no project file .*none\.py"):
        load_project(tmp_path / "none.py")


def test_the_only_project_of_a_folder_is_found(tmp_path: Path) -> None:
    """Helpers, tests that make Projects inside functions, and mere mentions are passed over; nothing is imported."""
    (tmp_path / "flow.py").write_text(MAKES + "raise SystemExit\n")
    (tmp_path / "helpers.py").write_text("x = 1\n")
    (tmp_path / "test_flow.py").write_text("from bedplate import Project\n\ndef test():\n    p = Project('t')\n")
    (tmp_path / "notes.py").write_text("'''Project('x') makes one.'''\n")
    found = (tmp_path / "flow.py").resolve()
    assert find_project(tmp_path) == find_project(tmp_path, "flow.py") == find_project(tmp_path.parent, tmp_path.name) == found


def test_none_or_several_candidates_are_told(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no project file in"):
        find_project(tmp_path)
    with pytest.raises(NotFound, match="no project file"):
        find_project(tmp_path, "missing.py")
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(MAKES)
    with pytest.raises(UserError, match=r"2 project files in .*: a\.py, b\.py"):
        find_project(tmp_path)


def test_the_candidate_that_python_cannot_read_is_taken(tmp_path: Path) -> None:
    """Loading it then tells where the mistake is."""
    (tmp_path / "flow.py").write_text(MAKES + "def (:\n")
    assert find_project(tmp_path).name == "flow.py"


def test_a_misspelt_module_that_lies_beside_is_no_package_to_install(project: Write) -> None:
    with pytest.raises(ProjectError) as raised:
        project("import cleanning\n", cleaning="def clean(): ...\n")
    assert raised.value.next == "did you mean 'cleaning'?"


def test_an_expression_too_deep_for_python_is_a_mistake_at_its_line(tmp_path: Path) -> None:
    file = tmp_path / "deep.py"
    file.write_text(f"from bedplate import Project\np = Project('p')\nX = {'+'.join(['1'] * 3000)}\n")
    with pytest.raises(ProjectError, match=r"deep\.py:3: an expression is nested too deep"):
        load_project(file)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("p = Project('shop')", "shop"),
        ("import nowhere\nimport bedplate as b\np: b.Project = b.Project(name='shop', budget='')", "shop"),
        ("p = Project('sh' + 'op')", ""),
        ("p = Project(f'{1}')", ""),
        ("p = Project(3)", ""),
        ("Project('shop')", ""),
        ("p = Project('shop'", ""),
        ("p = 1", ""),
    ],
)
def test_a_projects_name_is_read_without_running_its_file(tmp_path: Path, text: str, name: str) -> None:
    """Where it is worked out, or the file is broken, it has none."""
    (tmp_path / "shop.py").write_text(text)
    assert declared_name(tmp_path / "shop.py") == name
    assert declared_name(tmp_path / "gone.py") == ""
