"""The code closure: what leaves a step's digest alone, what changes it, and for which steps only."""

from __future__ import annotations

import linecache
from collections.abc import Callable

import pytest

from bedplate.core.errors import ProjectError
from bedplate.core.records import KeyParts
from bedplate.pipeline.code.closure import closure, key, seed, step_code
from bedplate.pipeline.code.load import Loaded
from bedplate.pipeline.code.packages import packages
from bedplate.pipeline.wiring.graph import build

Write = Callable[..., Loaded]
HELPERS = """\
'''Helpers.'''
import math
from tools import scale as scaled

RATE = 2

def tax(x: float, rate: float = RATE) -> float:
    '''Tax of x.'''
    return scaled(x) * rate

def idle(x):
    return x

class Base:
    offset = 1

    def shift(self, x):
        return x + self.offset

class Shifter(Base):
    '''Shifts.'''
    def __call__(self, x):
        return self.shift(x)
"""
TOOLS = "def scale(x):\n    return x * FACTOR\n\nFACTOR = 3\n"
FLOW = """\
import helpers
from helpers import Shifter, idle as lazy

LIMIT = 5

def clean(x):
    # keep what is small
    return [item for item in x if item < LIMIT]

@p.step(cpu=1, memory="1 GB")
def first(n: int = 3) -> list[int]:
    '''The first step.'''
    return clean(range(n))

@p.step
def second(first: list[int], context: Context) -> float:
    def inner(x):
        return helpers.tax(x)
    return sum(inner(x) for x in first)

@p.step
def third(first: list[int]) -> float:
    shift = Shifter()
    clean = 0  # its own name, not the function
    return shift(lazy(clean))

@p.step
def fourth(first: list[int]) -> int:
    return 4
"""
STEPS = ("first", "second", "third", "fourth")


def keys(loaded: Loaded) -> dict[str, str]:
    """The digest of each step's code."""
    roots = [loaded.file.parent]
    return {name: key(KeyParts(code=step_code(node, roots))) for name, node in build(loaded.project).nodes.items()}


def changed(project: Write, flow: str = FLOW, helpers: str = HELPERS, tools: str = TOOLS) -> set[str]:
    """Which steps' digests differ from those of the unchanged files."""
    before = keys(project(FLOW, helpers=HELPERS, tools=TOOLS))
    after = keys(project(flow, helpers=helpers, tools=tools))
    return {name for name in before if before[name] != after.get(name)}


def edit(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new)


SAME = [
    ("comment", "# keep what is small", "# keep what is under the limit"),
    ("docstring", "'''The first step.'''", "'''The first step of all.'''"),
    ("docstring gone", "    '''The first step.'''\n", ""),
    ("formatting", "clean(range(n))", "clean(\n        range(\n            n,\n        )\n    )"),
    ("blank lines", "LIMIT = 5", "\n\n\nLIMIT = 5"),
    ("quotes", '"1 GB"', "'1 GB'"),
    ("needs", 'cpu=1, memory="1 GB"', "cpu=4, retries=2"),
    ("default of a setting", "n: int = 3", "n: int = 4"),
    ("another import", "import helpers", "import helpers\nimport json"),
    ("a function nobody calls", "LIMIT = 5", "LIMIT = 5\n\ndef unused():\n    return 1"),
    ("main", "LIMIT = 5", "LIMIT = 5\nif __name__ == '__main__':\n    print(1)"),
]


@pytest.mark.parametrize(("old", "new"), [row[1:] for row in SAME], ids=[row[0] for row in SAME])
def test_what_changes_no_result_changes_no_digest(project: Write, old: str, new: str) -> None:
    assert changed(project, flow=edit(FLOW, old, new)) == set()


DIFFERENT = [
    ("the step", "flow", "clean(range(n))", "clean(range(n + 1))", {"first"}),
    ("its annotation", "flow", "first(n: int", "first(n: float", {"first"}),
    ("its result", "flow", "-> int:\n    return 4", "-> float:\n    return 4", {"fourth"}),
    ("a helper", "flow", "item < LIMIT", "item <= LIMIT", {"first"}),
    ("a constant", "flow", "LIMIT = 5", "LIMIT = 6", {"first"}),
    ("an inner function", "flow", "return helpers.tax(x)", "return helpers.tax(-x)", {"second"}),
    ("a helper's module", "helpers", "scaled(x) * rate", "scaled(x) + rate", {"second"}),
    ("a helper's default", "helpers", "rate: float = RATE", "rate: float = 7", {"second"}),
    ("a default's constant", "helpers", "RATE = 2", "RATE = 3", {"second"}),
    ("a helper's helper's module", "tools", "x * FACTOR", "x / FACTOR", {"second"}),
    ("a constant of that", "tools", "FACTOR = 3", "FACTOR = 4", {"second"}),
    ("a method", "helpers", "return self.shift(x)", "return self.shift(-x)", {"third"}),
    ("a base class", "helpers", "x + self.offset", "x - self.offset", {"third"}),
    ("a class attribute", "helpers", "offset = 1", "offset = 2", {"third"}),
    ("an import under another name", "helpers", "def idle(x):\n    return x", "def idle(x):\n    return -x", {"third"}),
    ("a decorator", "flow", "def clean(x):", "import functools\n\n@functools.cache\ndef clean(x):", {"first"}),
    ("what importing does", "helpers", "RATE = 2", "RATE = 2\nmath.setting = 1", set(STEPS)),
]


@pytest.mark.parametrize(("file", "old", "new", "steps"), [row[1:] for row in DIFFERENT], ids=[row[0] for row in DIFFERENT])
def test_a_change_reaches_the_steps_that_reach_it_and_no_other(project: Write, file: str, old: str, new: str, steps: set[str]) -> None:
    texts = {"flow": FLOW, "helpers": HELPERS, "tools": TOOLS}
    texts[file] = edit(texts[file], old, new)
    assert changed(project, **texts) == steps


UNRESOLVABLE = [
    ("bound twice", "x = 1\nx = 2\n", "helpers.x"),
    ("bound by a branch and again", "if True:\n    x = 1\nx = 2\n", "helpers.x"),
    ("global", "x = 1\n\ndef set_x(value):\n    global x\n    x = value\n", "helpers.x"),
    ("eval", "def x():\n    return eval('y')\n", "helpers.x()"),
    ("globals", "def x():\n    return globals()['y']\n", "helpers.x()"),
    ("dynamic import", "import importlib\n\ndef x():\n    return importlib.import_module('y')\n", "helpers.x()"),
    ("module as a value", "x = 1\n", "getattr(helpers, 'x')"),
    ("a name from nowhere", "def x():\n    return whence\n", "helpers.x()"),
    ("star import", "from tools import *\n\ndef x():\n    return scale(1)\n", "helpers.x()"),
    ("its own modules", "import sys\n\ndef x():\n    return sys.modules[__name__].y\n", "helpers.x()"),
]


@pytest.mark.parametrize(("helpers", "call"), [row[1:] for row in UNRESOLVABLE], ids=[row[0] for row in UNRESOLVABLE])
def test_what_cannot_be_followed_pulls_in_its_whole_module(project: Write, helpers: str, call: str) -> None:
    """Code of that module that nothing visibly reaches changes the step's digest; another step's is left alone."""
    flow = f"import helpers\n\n@p.step\ndef s() -> int:\n    return {call}\n\n@p.step\ndef other() -> int:\n    return 1\n"
    digests = []
    for hidden in ("def hidden():\n    return 1\n", "def hidden():\n    return 2\n"):
        loaded = project(flow, helpers=f"{helpers}\n{hidden}", tools=TOOLS)
        names = {part.name for part in closure(build(loaded.project).nodes["s"].declaration.function, [loaded.file.parent])}
        assert "helpers.py" in names
        digests.append(keys(loaded))
    assert digests[0]["s"] != digests[1]["s"]
    assert digests[0]["other"] == digests[1]["other"]


def test_a_star_import_pulls_in_what_it_imports(project: Write) -> None:
    flow = "from tools import *\n\n@p.step\ndef s() -> int:\n    return scale(1)\n"
    before = keys(project(flow, tools=TOOLS))
    assert keys(project(flow, tools=edit(TOOLS, "FACTOR = 3", "FACTOR = 4"))) != before


REGISTRIES = [
    ("decorator that enters", "ALL = {}\n\ndef enter(f):\n    ALL[f.__name__] = f\n    return f\n\n@enter\ndef part():\n    return 1\n"),
    ("method of an object", "ALL = []\n\n@ALL.append\ndef part():\n    return 1\n"),
    (
        "dispatch",
        "import functools\n\n@functools.singledispatch\ndef ALL(x):\n    return 0\n\n@ALL.register\ndef part(x: int):\n    return 1\n",
    ),
    ("later call", "ALL = []\n\ndef part():\n    return 1\n\nALL.append(part)\n"),
    ("later item", "ALL = {}\n\ndef part():\n    return 1\n\nALL['a'] = part\n"),
    (
        "subclasses",
        "class ALL:\n    kinds = []\n\n    def __init_subclass__(cls):\n        ALL.kinds.append(cls)\n\n"
        "class Kind(ALL):\n    def part(self):\n        return 1\n",
    ),
]


@pytest.mark.parametrize("helpers", [row[1] for row in REGISTRIES], ids=[row[0] for row in REGISTRIES])
def test_what_a_registry_holds_is_reached_through_it(project: Write, helpers: str) -> None:
    flow = "from helpers import ALL\n\n@p.step\ndef s() -> int:\n    return len(str(ALL))\n"
    before = keys(project(flow, helpers=helpers))
    assert keys(project(flow, helpers=helpers)) == before
    assert keys(project(flow, helpers=edit(helpers, "return 1", "return 2"))) != before


def test_packages_and_relative_imports_are_followed(project: Write) -> None:
    flow = "import lib.deep\n\n@p.step\ndef s() -> int:\n    return lib.deep.f()\n"
    files = {"lib/__init__": "", "lib/deep": "from .base import g\n\ndef f():\n    return g()\n", "lib/base": "def g():\n    return 1\n"}
    before = keys(project(flow, **files))
    loaded = project(flow, **(files | {"lib/base": "def g():\n    return 2\n"}))
    assert keys(loaded) != before
    names = {part.name for part in closure(build(loaded.project).nodes["s"].declaration.function, [loaded.file.parent])}
    assert {"flow.py:s", "lib/deep.py:f", "lib/base.py:g"} <= names
    before = keys(loaded)
    assert keys(project(flow, **(files | {"lib/__init__": "print", "lib/base": "def g():\n    return 2\n"}))) != before


def test_what_is_on_the_path_but_not_installed_is_project_code(
    project: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable package, or a folder on PYTHONPATH: its code counts, not a version."""
    place = tmp_path_factory.mktemp("elsewhere") / "ours_elsewhere.py"
    monkeypatch.syspath_prepend(place.parent)
    flow = "import ours_elsewhere\n\n@p.step\ndef s() -> int:\n    return ours_elsewhere.f()\n"
    found = []
    for text in ("def f():\n    return 1\n", "def f():\n    return 20\n"):
        place.write_text(text)
        loaded = project(flow)
        found.append(keys(loaded))
        parts = step_code(build(loaded.project).nodes["s"], [loaded.file.parent])
        assert ("ours_elsewhere.py:f", str(place)) in [(part.name, part.file) for part in parts]
        assert packages(parts, [loaded.file.parent]) == {}
    assert found[0] != found[1]


def test_one_of_two_imports_counts_with_both(project: Write) -> None:
    flow = "try:\n    import nosuchpackage as lib\nexcept ImportError:\n    import {} as lib\n\n"
    flow += "@p.step\ndef s() -> str:\n    return str(lib)\n"
    assert keys(project(flow.format("json"))) != keys(project(flow.format("pickle")))


def test_an_import_inside_a_function_is_followed(project: Write) -> None:
    flow = "@p.step\ndef s() -> int:\n    from tools import scale\n    return scale(1)\n"
    before = keys(project(flow, tools=TOOLS))
    assert keys(project(flow, tools=edit(TOOLS, "FACTOR = 3", "FACTOR = 4"))) != before
    assert keys(project(flow, tools=TOOLS + "\ndef unused(): ...\n")) == before


def test_what_a_function_closes_over_counts_by_value(project: Write) -> None:
    """Steps made in a loop by a factory differ by what they close over: numbers by value, functions by code."""
    flow = """
    def make(name, factor, how):
        def step() -> float:
            return how(factor)
        step.__name__ = name
        return p.step(step)

    def double(x):
        return 2 * x

    made = [make("a", 1, double), make("b", 2, double), make("c", 1, abs)]
    """
    before = keys(project(flow))
    assert len(set(before.values())) == 3
    after = keys(project(edit(flow, "2 * x", "3 * x")))
    assert {name for name in before if before[name] != after[name]} == {"a", "b"}


def test_an_object_closed_over_counts_with_its_class(project: Write) -> None:
    flow = """
    import dataclasses

    @dataclasses.dataclass
    class Rate:
        percent: int

        def of(self, x):
            return x * self.percent

    def make(rate):
        def step() -> float:
            return rate.of(1)
        return p.step(step)

    make(Rate(3))
    """
    before = keys(project(flow))
    assert keys(project(edit(flow, "Rate(3)", "Rate(4)"))) != before
    assert keys(project(edit(flow, "x * self.percent", "x / self.percent"))) != before


def test_a_wrapped_function_counts_with_its_decorator(project: Write) -> None:
    flow = """
    import functools

    def twice(f):
        @functools.wraps(f)
        def wrapper(*args, **kwargs):
            return 2 * f(*args, **kwargs)
        return wrapper

    @p.step
    @twice
    def s() -> int:
        return 1
    """
    before = keys(project(flow))
    assert keys(project(edit(flow, "return 2 *", "return 3 *"))) != before
    assert keys(project(edit(flow, "return 1", "return 4"))) != before


def test_a_registered_decorator_of_the_project_is_no_helper(project: Write) -> None:
    """A step that calls another as a plain function depends on its code, not on its needs."""
    flow = "@p.step(cpu=1)\ndef one() -> int:\n    return 1\n\n@p.step\ndef two() -> int:\n    return one() + 1\n"
    before = keys(project(flow))
    assert keys(project(edit(flow, "cpu=1", "cpu=2"))) == before
    assert keys(project(edit(flow, "return 1\n", "return 3\n")))["two"] != before["two"]


def test_how_features_are_keyed_and_what_a_check_promotes_count(project: Write) -> None:
    flow = """
    @p.features(entity="carrier", time="hour", cpu=1)
    def f() -> pl.LazyFrame: ...

    @p.train
    def m() -> Model: ...

    @p.check(promotes="production")
    def c(m: Model, best: Model = use("m@production")) -> Check: ...
    """
    before = keys(project(flow))

    def now(old: str, new: str) -> set[str]:
        after = keys(project(edit(flow, old, new)))
        return {name for name in before if before[name] != after[name]}

    assert now('"carrier"', '"origin"') == {"f"}
    assert now("cpu=1", "cpu=2") == set()
    assert now('promotes="production"', 'promotes="staging"') == {"c"}


def test_parts_say_where_they_are(project: Write) -> None:
    loaded = project(FLOW, helpers=HELPERS, tools=TOOLS)
    parts = closure(build(loaded.project).nodes["second"].declaration.function, [loaded.file.parent])
    assert parts[0].name == "flow.py:second"
    assert {(part.name, part.file) for part in parts} >= {("helpers.py:tax", "helpers.py"), ("tools.py:FACTOR", "tools.py")}
    for part in parts:
        line = linecache.getline(str(loaded.file.parent / part.file), part.line)
        assert part.name.partition(":")[2].split(".")[-1] in line


def test_packages_are_those_that_the_step_reaches(project: Write) -> None:
    flow = """
    import json
    import _pytest

    @p.step
    def a() -> int:
        return len(json.dumps(_pytest))

    @p.step
    def b(a: int) -> pl.DataFrame:
        import msgspec
        return pl.DataFrame()

    @p.step
    def c(a: int, context: Context) -> int:
        return a
    """
    head = "from bedplate import Context, Project\nimport polars as pl\np = Project('p')\n"
    loaded = project(flow, head=head)
    roots = [loaded.file.parent]
    found = {name: set(packages(step_code(node, roots), roots)) for name, node in build(loaded.project).nodes.items()}
    assert found == {"a": {"pytest"}, "b": {"polars", "msgspec"}, "c": set()}


def test_another_package_under_the_same_name_is_another_import(project: Write) -> None:
    flow = "import {} as lib\n\n@p.step\ndef s() -> int:\n    return lib.f()\n"
    assert keys(project(flow.format("json"))) != keys(project(flow.format("pickle")))


def test_the_key_leaves_out_places_and_version_numbers(project: Write) -> None:
    loaded = project(FLOW, helpers=HELPERS, tools=TOOLS)
    code = closure(build(loaded.project).nodes["second"].declaration.function, [loaded.file.parent])
    one = KeyParts(code=code, inputs={"first": "sha256:1"}, versions={"first": "first@1"})
    moved = tuple(type(part)(name=part.name, digest=part.digest, file="elsewhere", line=9) for part in reversed(code))
    assert key(one) == key(KeyParts(code=moved, inputs={"first": "sha256:1"}, versions={"first": "first@2"}))
    assert key(one) != key(KeyParts(code=code, inputs={"first": "sha256:2"}))
    assert 0 <= seed(key(one)) < 2**31
    assert seed(key(one)) == seed(key(one))


def test_a_function_without_a_file_is_refused() -> None:
    space: dict[str, Callable[[], int]] = {}
    exec("def f() -> int:\n    return 1", space)
    with pytest.raises(ProjectError, match="cannot be read"):
        closure(space["f"], [])


def test_a_function_of_an_installed_package_can_be_closed_over(project: Write) -> None:
    flow = (
        "import functools\n\ndef make(how):\n    def step() -> int:\n        return how()\n    return p.step(step)\n\nmake(pl.DataFrame)\n"
    )
    loaded = project(flow)
    roots = [loaded.file.parent]
    assert set(packages(step_code(build(loaded.project).nodes["step"], roots), roots)) == {"polars"}
