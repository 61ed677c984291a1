"""Code that is reached by no plain name: found all the same, and nothing more of it than needed where a module only binds names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bedplate.core.records import KeyParts, Part
from bedplate.pipeline.code.closure import key, step_code
from bedplate.pipeline.code.dynamic import UNFOLLOWED
from bedplate.pipeline.code.load import Loaded
from bedplate.pipeline.wiring.graph import build

Write = Callable[..., Loaded]
STEP = "\n@p.step\ndef out() -> int:\n    return {}\n"
PLUGIN = "def register(name):\n    def enter(f):\n        REG[name] = f\n        return f\n    return enter\n"


def parts(loaded: Loaded) -> tuple[Part, ...]:
    return step_code(build(loaded.project).nodes["out"], [loaded.file.parent], loaded.file)


def digest(loaded: Loaded) -> str:
    return key(KeyParts(code=parts(loaded)))


def both(project: Write, flow: str, files: Mapping[str, str]) -> tuple[str, str]:
    """The key with 1, and with 22, where the text says @@."""
    found = []
    for value in ("1", "22"):
        others = {name: text.replace("@@", value) for name, text in files.items()}
        found.append(digest(project(flow.replace("@@", value), **others)))
    return found[0], found[1]


def step(value: str, before: str = "") -> str:
    return before + STEP.format(value)


REACHED: dict[str, tuple[str, dict[str, str]]] = {
    "import_module": (step("importlib.import_module('h').K", "import importlib\n"), {"h": "K = @@\n"}),
    "import_module by a constant": (step("importlib.import_module(H).K", "import importlib\nH = 'h'\n"), {"h": "K = @@\n"}),
    "import_module under another name": (step("get('h').K", "from importlib import import_module as get\n"), {"h": "K = @@\n"}),
    "import_module at the top": (step("mod.K", "import importlib\nmod = importlib.import_module('h')\n"), {"h": "K = @@\n"}),
    "__import__": (step("__import__('h').K"), {"h": "K = @@\n"}),
    "star over a builtin": (step("sum([1])", "from h import *\n"), {"h": "def sum(xs):\n    return @@\n"}),
    "star of a star over a builtin": (
        step("sum([1])", "from g import *\n"),
        {"g": "from h import *\n", "h": "def sum(xs):\n    return @@\n"},
    ),
    "plugin imported for its effect": (
        step("REG['a']()", "import plugins\nfrom reg import REG\n"),
        {"reg": f"REG = {{}}\n{PLUGIN}", "plugins": "from reg import register\n\n@register('a')\ndef a():\n    return @@\n"},
    ),
    "registry that is an object": (
        step("REG.get('a')()", "import plugins\nfrom reg import REG\n"),
        {
            "reg": "class Registry:\n    def __init__(self):\n        self.d = {}\n    def add(self, n):\n        def d(f):\n"
            "            self.d[n] = f\n            return f\n        return d\n    def get(self, n):\n        return self.d[n]\n"
            "REG = Registry()\n",
            "plugins": "from reg import REG\n\n@REG.add('a')\ndef a():\n    return @@\n",
        },
    ),
    "plugin of an installed registry": (
        step("1", "import plugins\n"),
        {"plugins": "import atexit\n\n@atexit.register\ndef last():\n    return @@\n"},
    ),
    "settings in an import": (
        step("CFG['k']", "import local\nfrom conf import CFG\n"),
        {"conf": "CFG = {'k': 0}\n", "local": "from conf import CFG\nCFG['k'] = @@\n"},
    ),
    "patch": (step("h.K", "import patches\nimport h\n"), {"h": "K = 0\n", "patches": "import h\nh.K = @@\n"}),
    "patch two imports away": (
        step("h.K", "from front import nothing\nimport h\n"),
        {"front": "import patches\nnothing = 0\n", "h": "K = 0\n", "patches": "import h\nh.K = @@\n"},
    ),
    "only imported": (step("__import__('sys').modules['h'].K", "import h\n"), {"h": "K = @@\n"}),
    "subclasses": (
        step("sum(r().v() for r in Rule.__subclasses__())", "class Rule: ...\n\nclass A(Rule):\n    def v(self):\n        return @@\n"),
        {},
    ),
    "subclasses elsewhere": (
        step("sum(c().v() for c in Base.__subclasses__())", "from base import Base\nfrom plugins import nothing\n"),
        {
            "base": "class Base: ...\n",
            "plugins": "from base import Base\nnothing = 0\n\nclass A(Base):\n    def v(self):\n        return @@\n",
        },
    ),
    "metaclass": (
        step(
            "REG[0]().v()",
            "REG = []\n\nclass M(type):\n    def __init__(cls, *a):\n        REG.append(cls)\n\n"
            "class A(metaclass=M):\n    def v(self):\n        return @@\n",
        ),
        {},
    ),
    "metaclass of a base's base": (
        step("REG[0]().v()", "from base import REG, B\n\nclass C(B): ...\n\nclass A(C):\n    def v(self):\n        return @@\n"),
        {
            "base": "REG = []\n\nclass M(type):\n    def __init__(cls, *a):\n        REG.append(cls)\n\nclass B(metaclass=M): ...\n",
        },
    ),
    "call that enters, its answer kept": (
        step("REG['a']", "REG = {}\n\ndef reg(k, v):\n    REG[k] = v\n    return v\n\n_done = reg('a', @@)\n"),
        {},
    ),
    "call that enters deeper": (
        step("REG['a'][0]", "REG = {'a': []}\n\ndef reg(k, v):\n    REG[k].append(v)\n    return v\n\n_done = reg('a', @@)\n"),
        {},
    ),
    "call that sets up": (step("CFG['k']", "CFG = {}\n\ndef setup():\n    CFG['k'] = @@\n\nready = setup()\n"), {}),
    "call that changes what it is given": (
        step("CFG['k']", "CFG = {}\n\ndef setup(c):\n    c['k'] = @@\n\nready = setup(CFG)\n"),
        {},
    ),
    "alias of a global": (step("CFG['k']", "CFG = {}\n\ndef setup():\n    c = CFG\n    c['k'] = @@\n\nready = setup()\n"), {}),
    "method's answer kept": (step("CFG['k']", "CFG = {}\n_old = CFG.setdefault('k', @@)\n"), {}),
    "in a class body": (step("CFG['k']", "CFG = {}\n\nclass A:\n    old = CFG.setdefault('k', @@)\n"), {}),
    "wraps": (
        "import functools\n\ndef scaled(k):\n    def deco(f):\n        @functools.wraps(f)\n        def inner(*a, **kw):\n"
        "            return f(*a, **kw) * k\n        return inner\n    return deco\n\ndef out() -> int:\n    return 1\n\n"
        "handle = p.step(scaled(@@)(out))\n",
        {},
    ),
    "code of a wrapper": (
        "import functools\n\ndef twice(f):\n    @functools.wraps(f)\n    def inner():\n        return f() * @@\n    return inner\n\n"
        "def out() -> int:\n    return 1\n\nhandle = p.step(twice(out))\n",
        {},
    ),
    "made elsewhere, the main file's imports patch": (
        "import patches\nfrom lib import make\nmake(p)\n",
        {
            "h": "K = 0\n",
            "patches": "import h\nh.K = @@\n",
            "lib": "import h\n\ndef make(p):\n    @p.step\n    def out() -> int:\n        return h.K\n",
        },
    ),
}
MAKE = "def make(p, f):\n    @p.step\n    def out() -> int:\n        return f(1)\n    return out\n"
MUL = "class Mul:\n    def __init__(self, k):\n        self.k = k\n    def go(self, x):\n        return x * self.k\n"
HELD = {
    "partial": "import functools\n\ndef mul(x, k):\n    return x * k\n\nhandle = make(p, functools.partial(mul, k=@@))\n",
    "code of a partial": "import functools\n\ndef mul(x, k):\n    return x * k * @@\n\nhandle = make(p, functools.partial(mul, k=1))\n",
    "bound method": f"{MUL}\nhandle = make(p, Mul(@@).go)\n",
    "code of a bound method": f"{MUL.replace('x * self.k', 'x * self.k * @@')}\nhandle = make(p, Mul(3).go)\n",
    "callable object": f"{MUL.replace('go', '__call__')}\nhandle = make(p, Mul(@@))\n",
    "lambda": "handle = make(p, lambda x: x * @@)\n",
    "list of closures": "def adder(k):\n    return lambda x: x + k\n\nhandle = make(p, [adder(1), adder(@@)])\n",
    "cached function": "import functools\n\n@functools.cache\ndef f(x):\n    return x * @@\n\nhandle = make(p, f)\n",
    "object in an object": f"{MUL}\nclass Box:\n    def __init__(self, v):\n        self.v = v\n\nhandle = make(p, Box([Mul(@@)]))\n",
    "array": "import numpy\n\nhandle = make(p, numpy.array([@@]))\n",
    "slots": "class S:\n    __slots__ = ('k',)\n\nbox = S()\nbox.k = @@\nhandle = make(p, box)\n",
    "what says nothing of itself": "import threading\n\nK = @@\nhandle = make(p, threading.Lock())\n",
}
REACHED |= {f"held, {name}": (f"from lib import make\n\n{text}", {"lib": MAKE}) for name, text in HELD.items()}
REACHED["two closures of one factory"] = (
    "def adder(k):\n    def add(x):\n        return x + k\n    return add\n\ndef make(f, g):\n    def out() -> int:\n"
    "        return f(0) + g(0)\n    return p.step(out)\n\nmake(adder(1), adder(@@ + 1))\n",
    {},
)


@pytest.mark.parametrize(("flow", "files"), REACHED.values(), ids=REACHED)
def test_code_that_is_reached_without_its_name_changes_the_key(project: Write, flow: str, files: dict[str, str]) -> None:
    before, after = both(project, flow, files)
    assert before != after


QUIET: dict[str, tuple[str, dict[str, str]]] = {
    "another helper": (step("h.f()", "import h\n"), {"h": "def f():\n    return 1\n\ndef g():\n    return @@\n"}),
    "another constant": (step("h.f()", "import h\n"), {"h": "import re\nA = @@\nRX = re.compile('@@')\n\ndef f():\n    return 1\n"}),
    "a value that a function makes": (
        step("h.f()", "import h\n"),
        {
            "h": "def steps(n):\n    out = []\n    for i in range(n):\n"
            "        out.append(i)\n    return out\n\nA = steps(@@)\n\ndef f():\n    return 1\n"
        },
    ),
    "an object": (
        step("h.f()", "import h\n"),
        {"h": "class C:\n    def __init__(self, k):\n        self.k = k\n\nA = C(@@)\n\ndef f():\n    return 1\n"},
    ),
    "usual decorators": (
        step("h.f()", "import h\n"),
        {
            "h": "import dataclasses, functools\n\n@dataclasses.dataclass(frozen=True)\nclass C:\n    k: int = @@\n"
            "    @property\n    def v(self):\n        return @@\n\n@functools.lru_cache\ndef g():\n    return @@\n\n"
            "def twice(f):\n    @functools.wraps(f)\n    def inner():\n        return 2 * f()\n    return inner\n\n"
            "@twice\ndef i():\n    return @@\n\ndef f():\n    return 1\n"
        },
    ),
    "a logger": (
        step("h.f()", "import h\n"),
        {"h": "import logging\nLOG = logging.getLogger(__name__)\n\ndef g():\n    LOG.info('@@')\n\ndef f():\n    return 1\n"},
    ),
    "comments and docstrings of a plugin": (
        step("len(REG)", "import plugins\nfrom reg import REG\n"),
        {
            "reg": f"REG = {{}}\n{PLUGIN}",
            "plugins": "from reg import register\n\n@register('a')\ndef a():\n    '''@@'''\n    return 1  # @@\n",
        },
    ),
    "an enum and subclasses nobody asks for": (
        step("h.f()", "import h\n"),
        {"h": "import enum\n\nclass E(enum.Enum):\n    A = @@\n\nclass B: ...\n\nclass C(B):\n    k = @@\n\ndef f():\n    return 1\n"},
    ),
}


@pytest.mark.parametrize(("flow", "files"), QUIET.values(), ids=QUIET)
def test_a_module_that_only_binds_names_is_not_pulled_in_whole(project: Write, flow: str, files: dict[str, str]) -> None:
    before, after = both(project, flow, files)
    assert before == after


def test_an_import_by_a_name_worked_out_is_told_with_its_line(project: Write) -> None:
    flow = "import importlib\n\n@p.step\ndef out(which: str = 'h') -> int:\n    return importlib.import_module(which).K\n"
    lost = [part for part in parts(project(flow, h="K = 1\n")) if part.name.endswith(UNFOLLOWED)]
    assert [(part.file, part.line) for part in lost] == [("flow.py", 11)]
    assert not any(part.name.endswith(UNFOLLOWED) for part in parts(project(flow.replace("module(which)", "module('h')"), h="K = 1\n")))


def test_files_and_variables_that_are_read_at_import_are_in_the_key(
    project: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By their content, for the steps that reach what was read; a helper that opens them for it changes nothing."""
    flow = "import json, os\nfrom h import text\nLIMIT = json.loads(text(Path(__file__).parent / 'limits.json'))\n"
    flow += "RATE = os.environ.get('OUR_RATE')\n" + STEP.format("LIMIT if RATE else 0")
    helper = "def text(path):\n    with open(path) as file:\n        return file.read()\n"
    found = []
    for limit, rate in (("1", "a"), ("1", "a"), ("2", "a"), ("2", "b")):
        (tmp_path / "limits.json").write_text(limit)
        monkeypatch.setenv("OUR_RATE", rate)
        loaded = project(flow, h=helper)
        found.append(digest(loaded))
        assert str(tmp_path / "limits.json") in loaded.read
    assert found[0] == found[1]
    assert len(set(found)) == 3
    lines = {part.name.partition(":reads ")[2][-11:]: part.line for part in parts(loaded) if ":reads " in part.name}
    assert lines == {"limits.json": 9, "$OUR_RATE": 10}


def test_code_outside_the_folder_is_imported_anew_at_every_load(
    project: Write, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is keyed is what runs, though the process imported the module before; the stamp knows the file."""
    place = tmp_path_factory.mktemp("beside") / "ours_beside.py"
    monkeypatch.syspath_prepend(place.parent)
    for number, text in enumerate(("def f(): return 10\n", "def f(): return 2000\n")):
        place.write_text(text)
        loaded = project("import ours_beside\n\n@p.step\ndef out() -> int:\n    return ours_beside.f()\n")
        assert vars(loaded.module)["out"]() == (10, 2000)[number]
        assert str(place) in loaded.read
