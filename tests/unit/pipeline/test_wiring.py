"""The wiring rules: each mistake with its message, suggestion and line; each right way with the wire that it makes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bedplate.core.errors import ProjectError
from bedplate.pipeline.code.load import Loaded
from bedplate.pipeline.wiring.graph import NO_DEFAULT, Node, build
from bedplate.pipeline.wiring.lint import classes, lint

Write = Callable[..., Loaded]
BASE = """
@p.ingest
def departures(source: Files = Files("data/*.parquet")) -> pl.LazyFrame: ...

@p.features(entity="carrier", time="hour")
def delay(departures: pl.LazyFrame) -> pl.LazyFrame: ...

@p.train
def late(departures: pl.LazyFrame) -> Model: ...

@p.ingest
def pages(source: Files = Files("*.html")) -> Files: ...

@p.step
def threshold(departures) -> float: ...

@p.step
def state(departures) -> Pickle[object]: ...

@p.service
def is_late(late: Model, carrier: str) -> float: ...
"""

WRONG = [
    ("unannotated", "@p.step\ndef s(departure) -> int: ...  # here", "nothing is called 'departure'", "did you mean 'departures'?"),
    ("unannotated far", "@p.step\ndef s(velocity) -> int: ...  # here", "nothing is called 'velocity'", "a setting has a type"),
    ("misspelt frame", "@p.step\ndef s(departure: pl.DataFrame) -> int: ...  # here", "nothing is called 'departure'", "'departures'"),
    ("misspelt model", "@p.step\ndef s(\n    lata: Model,  # here\n) -> int: ...", "nothing is called 'lata'", "'late'"),
    ("data of nothing", "@p.step\ndef s(x: Check) -> int: ...  # here", "nothing is called 'x'", "named like its artifact"),
    ("wrong view", "@p.step\ndef s(late: pl.DataFrame) -> int: ...  # here", "'late: polars.DataFrame', but late is a model", "reads as"),
    ("model of a table", "@p.step\ndef s(departures: Model) -> int: ...  # here", "but departures is a table", "polars"),
    ("scalar of a table", "@p.step\ndef s(departures: float) -> int: ...  # here", "but departures is a table", "polars"),
    ("features of a table", "@p.step\ndef s(departures: Features) -> int: ...  # here", "is no feature view", "@project.features"),
    ("files as a frame", "@p.step\ndef s(pages: pl.DataFrame) -> int: ...  # here", "but pages is files", "files, path"),
    ("pickle unspelt", "@p.step\ndef s(state: dict) -> int: ...  # here", "stored pickled", "Pickle[dict]"),
    ("no JSON type", "@p.step\ndef s(x: range) -> int: ...  # here", "neither an artifact nor a JSON type", "name it like an artifact"),
    ("source outside", '@p.step\ndef s(f: Files = Files("*")) -> int: ...  # here', "only an ingest does", "read it in an ingest"),
    ("source without value", "@p.ingest\ndef s(f: Files) -> Files: ...  # here", "nothing is called 'f'", 'Files("data/*.csv")'),
    ("source bare", '@p.ingest\ndef s(f=Files("*")) -> Files: ...  # here', "has no annotation", "f: Files"),
    ("source of another type", '@p.ingest\ndef s(f: Package = Files("*")) -> Files: ...  # here', "but it is a Files", "f: Files"),
    ("source like an artifact", '@p.ingest\ndef s(late: Files = Files("*")) -> Files: ...  # here', "both a source and", "rename"),
    ("use of nothing", '@p.check\ndef c(m: Model = use("lata@production")) -> Check: ...  # here', "nothing is called 'lata'", "'late'"),
    ("use of no version", '@p.check\ndef c(m: Model = use("late")) -> Check: ...  # here', "names no version", "late@production"),
    ("alias of a table", '@p.step\ndef s(m: pl.DataFrame = use("departures@best")) -> int: ...  # here', "only a model has an alias", "@1"),
    ("use as another", '@p.check\ndef c(m: pl.DataFrame = use("late@1")) -> Check: ...  # here', "but late@1 is a model", "reads as model"),
    ("use of a service", '@p.watch\ndef w(m: pl.DataFrame = use("is_late@1")) -> Check: ...  # here', "no versions", "what it serves"),
    ("service in a train", "@p.train\ndef t(is_late: pl.DataFrame) -> Model: ...  # here", "is a service", "what is_late is made of"),
    ("service in a service", "@p.service\ndef t(is_late) -> int: ...  # here", "is a service", ""),
    ("star", "@p.step\ndef s(*rest: int) -> int: ...  # here", "'*rest', but parameters are wired by name", "name each one"),
    ("double star", "@p.step\ndef s(**rest: int) -> int: ...  # here", "'**rest'", "name each one"),
    ("positional only", "@p.step\ndef s(late, /) -> int: ...  # here", "wired by name", "name each one"),
    ("unresolved", "@p.step\ndef s(x: 'Missing') -> int: ...  # here", "'Missing' of 'x' does not resolve", "import the name"),
    ("unresolved return", "@p.step\ndef s() -> 'Missing': ...  # here", "annotation 'Missing' of s does not", "import the name"),
    ("no return", "@p.step\ndef s(): ...  # here", "does not say what it returns", "annotate it"),
    ("not storable", "@p.step\ndef s() -> range: ...  # here", "s returns range, which cannot be stored", "a frame"),
    ("field not storable", "class R(NamedTuple):\n    x: range\n\n@p.step\ndef s() -> R: ...  # here", "'x' of R is range", "a frame"),
    ("returns features", "@p.step\ndef s() -> Features: ...  # here", "cannot be stored", "return the frame"),
    ("stream", "@p.service\ndef s() -> int:  # here\n    yield 1", "s yields", "Iterator"),
    ("async", "@p.step\nasync def s() -> int: ...  # here", "s is `async def`", "asyncio.run"),
    ("yields", "@p.step\ndef s() -> list[int]: yield 1  # here", "s yields", "return a frame"),
    ("check without Check", "@p.check\ndef c(late: Model) -> bool: ...  # here", "does not return a Check", "Check.at_least"),
    ("train without Model", "@p.train\ndef t() -> float: ...  # here", "does not return a Model", "Model(native"),
    ("features no table", '@p.features(entity="e", time="t")\ndef f() -> float: ...  # here', "does not return one table", "LazyFrame"),
    ("features no time", '@p.features(entity="e")\ndef f() -> pl.LazyFrame: ...  # here', "feature view without time", "time="),
    ("features no entity", '@p.features(time="t")\ndef f() -> pl.LazyFrame: ...  # here', "without an entity", "entity="),
    ("window alone", '@p.features(entity="e", time="t", window="1 h")\ndef f() -> pl.LazyFrame: ...  # here', "belong together", "gives="),
    (
        "gives alone", '@p.features(entity="e", time="t", gives={"n": "count()"})\ndef f() -> pl.LazyFrame: ...  # here',
        "belong together", "window=",
    ),
    ("event alone", '@p.features(entity="e", time="t", event="i")\ndef f() -> pl.LazyFrame: ...  # here', "no window=", "leave event="),
    (
        "window with ttl",
        '@p.features(entity="e", time="t", ttl="1 h", window="1 h", gives={"n": "count()"})\ndef f() -> pl.LazyFrame: ...  # here',
        "ttl= has no meaning", "leave ttl=",
    ),
    (
        "gives a key", '@p.features(entity="e", time="t", window="1 h", gives={"e": "count()"})\ndef f() -> pl.LazyFrame: ...  # here',
        "gives= has 'e'", "another name",
    ),
    ("promotes nothing", '@p.check(promotes="production")\ndef c(departures: pl.LazyFrame) -> Check: ...  # here', "takes none", "Model"),
    (
        "promotes a use", '@p.check(promotes="production")\ndef c(m: Model = use("late@production")) -> Check: ...  # here',
        "it takes none", "Model",
    ),
    (
        "promotes two",
        '@p.train\ndef other() -> Model: ...\n\n@p.check(promotes="best")\ndef c(late: Model, other: Model) -> Check: ...  # here',
        "it takes 2 (late, other)", "Model",
    ),
    ("promotes badly", '@p.check(promotes="7")\ndef c(late: Model) -> Check: ...  # here', "no alias", "small letters"),
    ("each of nothing", '@p.step(each="page")\ndef s(page: str) -> str: ...  # here', "each=\"page\": nothing is called", "'pages'"),
    ("each of a model", '@p.step(each="late")\ndef s(late: str) -> str: ...  # here', "a model has no keys", "files"),
    ("each not taken", '@p.step(each="pages")\ndef s(x: int = 1) -> str: ...  # here', "does not take it", "pages: str"),
    ("day not taken", '@p.step(each=daily("2025-01-01"))\ndef s(x: int = 1) -> str: ...  # here', "does not take it", "day: str"),
    ("key as data", '@p.step(each="pages")\ndef s(pages: Files) -> str: ...  # here', "one key, which is text", "pages: str"),
    (
        "key is an artifact", '@p.step(each=daily("2025-01-01", name="late"))\ndef s(late: str) -> str: ...  # here',
        "both a key and an artifact", "name=",
    ),
    ("tune in a service", "@p.service\ndef v(late: Model, x: int = tune(1, 9, default=3)) -> int: ...  # here", "cannot be tuned", "plain"),
    ("default no JSON", "@p.step\ndef s(x: Any = object()) -> int: ...  # here", "no JSON value", "number"),
    ("two of one name", "@p.step\ndef late() -> int: ...  # here", "two functions are called 'late'", "rename one"),
    (
        "field of one name", "class R(NamedTuple):\n    late: int\n\n@p.step\ndef s() -> R: ...  # here",
        "s makes 'late', which late (line", "rename one",
    ),
    ("capitals", "@p.step\ndef Late() -> int: ...  # here", "'Late' cannot be an artifact's name", "'late'"),
    ("circle", "@p.step\ndef a(b: int) -> int: ...  # here\n\n@p.step\ndef b(a: int) -> int: ...", "a circle: a -> b -> a", "use("),
    ("circle of one", "@p.step\ndef a(a: int) -> int: ...  # here", "a circle: a -> a", "use("),
]  # fmt: skip

DOUBTFUL = [
    ("near miss", "@p.step\ndef s(thresholt: float = 1.0) -> int: ...  # here", "'thresholt' is a setting", "did you mean 'threshold'?"),
    ("near miss of a client", "@p.service\ndef v(late: Model, stat: int) -> int: ...  # here", "asked of the client", "'state'"),
    ("no default", "@p.step\ndef s(x: float) -> int: ...  # here", "'x' has no default", "--set s.x=..."),
    ("default unused", "@p.step\ndef s(late: Model = None) -> int: ...  # here", "is never used", "drop it"),
    ("default of another type", "@p.step\ndef s(x: int = 'a') -> int: ...  # here", "'a', is no int", "change the default"),
    ("default None", "@p.step\ndef s(x: int = None) -> int: ...  # here", "None, is no int", "int | None"),
    ("hides a built-in", "@p.step\ndef filter() -> int: ...  # here", "hides Python's own 'filter'", "another name"),
]


def found(loaded: Loaded, severity: str) -> list[tuple[bool, str, str]]:
    """The mistakes: whether each is at a line marked `# here`, its message and suggestion."""
    lines = loaded.file.read_text().splitlines()
    return [("# here" in lines[m.line - 1], m.message, m.suggestion) for m in lint(loaded.project) if m.severity == severity]


@pytest.mark.parametrize(("text", "message", "suggestion"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
def test_a_mistake_is_one_error_with_line_and_suggestion(project: Write, text: str, message: str, suggestion: str) -> None:
    loaded = project(BASE + text)
    mistakes = found(loaded, "error")
    assert len(mistakes) == 1, mistakes
    here, said, suggested = mistakes[0]
    assert here
    assert message in said
    assert suggestion in suggested
    with pytest.raises(ProjectError, match=r"flow\.py:\d+: (?!error)"):
        build(loaded.project)


@pytest.mark.parametrize(("text", "message", "suggestion"), [row[1:] for row in DOUBTFUL], ids=[row[0] for row in DOUBTFUL])
def test_a_doubt_warns_and_the_project_still_loads(project: Write, text: str, message: str, suggestion: str) -> None:
    loaded = project(BASE + text)
    assert found(loaded, "error") == []
    here, said, suggested = found(loaded, "warning")[0]
    assert here
    assert message in said
    assert suggestion in suggested
    assert build(loaded.project).warnings


def test_a_number_that_is_called_nearly_like_a_table_is_no_doubt(project: Write) -> None:
    """`departure: int` beside the table `departures` is how one asks for one of them."""
    loaded = project(BASE + "@p.service\ndef v(late: Model, departure: int, delays: float) -> int: ...")
    assert (found(loaded, "error"), found(loaded, "warning")) == ([], [])


def test_every_mistake_is_told_at_once(project: Write) -> None:
    """Three mistakes in three functions, and a circle: one ProjectError lists all four."""
    loaded = project(BASE + "@p.step\ndef a(x) -> int: ...\n@p.step\ndef b(y: Model): ...\n@p.step\ndef c(c: int) -> int: ...")
    with pytest.raises(ProjectError) as caught:
        build(loaded.project)
    for said in ("'x'", "'y'", "b does not say", "c -> c"):
        assert said in caught.value.what


def node(project: Write, text: str, name: str = "s") -> Node:
    loaded = project(BASE + text)
    assert found(loaded, "error") == []
    return build(loaded.project).nodes[name]


RIGHT: list[tuple[str, str, dict[str, Any]]] = [
    ("unannotated table", "def s(departures) -> int: ...", {"role": "artifact", "kind": "table", "view": "polars.lazy"}),
    ("unannotated features", "def s(delay) -> int: ...", {"artifact": "delay", "view": "features"}),
    ("features as a frame", "def s(delay: pl.DataFrame) -> int: ...", {"kind": "table", "view": "polars"}),
    ("features", "def s(delay: Features) -> int: ...", {"kind": "table", "view": "features"}),
    ("a table's file", "def s(departures: Path) -> int: ...", {"view": "path"}),
    ("files", "def s(pages: Files) -> int: ...", {"kind": "files", "view": "files"}),
    ("a number", "def s(threshold: float) -> int: ...", {"kind": "scalar", "view": "scalar"}),
    ("a pickle", "def s(state: Pickle[object]) -> int: ...", {"kind": "pickle", "view": "pickle"}),
    ("predictions", "def s(is_late: pl.DataFrame) -> int: ...", {"kind": "service", "view": "polars", "waits": False}),
    ("use", 'def s(m: Model = use("late@production")) -> int: ...', {"base": "late", "ref": "production", "waits": False, "is_use": True}),
    ("use of a table", 'def s(m: pl.DataFrame = use("departures@3")) -> int: ...', {"artifact": "departures@3", "view": "polars"}),
    ("perhaps", 'def s(m: Model | None = use("late@production")) -> int: ...', {"optional": True}),
    ("setting", "def s(rate: float = 0.1) -> int: ...", {"role": "setting", "default": 0.1, "required": False, "hint": float}),
    ("setting without", "def s(rate: float) -> int: ...", {"role": "setting", "default": NO_DEFAULT, "required": True}),
    ("choice", 'def s(x: Literal["a", "b"] = "a") -> int: ...', {"role": "setting", "default": "a"}),
    ("perhaps a number", "def s(x: int | None = None) -> int: ...", {"role": "setting", "default": None, "optional": True}),
    ("context", "def s(anything: Context) -> int: ...", {"role": "context"}),
    ("secret", "def s(token: Secret) -> int: ...", {"role": "secret", "default": NO_DEFAULT}),
    ("keyword only", "def s(*, late: Model) -> int: ...", {"role": "artifact"}),
]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in RIGHT], ids=[row[0] for row in RIGHT])
def test_a_parameter_gets_its_wire(project: Write, text: str, expected: dict[str, Any]) -> None:
    (wire,) = node(project, f"@p.step\n{text}").wires
    assert {name: getattr(wire, name) for name in expected} == expected


def test_a_tuned_setting_keeps_its_range(project: Write) -> None:
    wire = node(project, "@p.train\ndef s(leaves: int = tune(15, 127, default=31)) -> Model: ...").wires[0]
    assert (wire.role, wire.default) == ("setting", 31)
    assert wire.tune is not None
    assert (wire.tune.low, wire.tune.high) == (15, 127)


def test_a_service_asks_the_client(project: Write) -> None:
    """What is not an artifact is the request; without a default it is required."""
    wires = node(project, "@p.service\ndef s(late: Model, delay: Features, carrier: str, far: float = 1.0): ...").wires
    assert [(w.name, w.role, w.required) for w in wires] == [
        ("late", "artifact", False), ("delay", "artifact", False), ("carrier", "request", True), ("far", "request", False),
    ]  # fmt: skip


def test_an_ingest_reads_its_source(project: Write) -> None:
    wire = node(project, "", "departures").wires[0]
    assert wire.role == "source"
    assert getattr(wire.source, "pattern", "") == "data/*.parquet"


def test_each_key_arrives_by_name_and_waits_for_the_artifact(project: Write) -> None:
    made = node(project, '@p.step(each="pages")\ndef s(pages: str, late: Model) -> str: ...')
    assert [(w.role, w.artifact, w.kind, w.waits) for w in made.wires] == [
        ("key", "pages", "files", True), ("artifact", "late", "model", True),
    ]  # fmt: skip
    day = node(project, '@p.step(each=daily("2025-01-01"))\ndef s(day: str) -> str: ...').wires[0]
    assert (day.role, day.artifact, day.waits) == ("key", "", False)


def test_same_each_gets_its_part_and_others_get_all(project: Write) -> None:
    text = """
    DAYS = daily("2025-01-01")

    @p.step(each=DAYS)
    def first(day: str) -> pl.DataFrame: ...

    @p.step(each=daily("2025-01-01"))
    def same(day: str, first: pl.DataFrame) -> int: ...

    @p.step
    def other(first: pl.DataFrame) -> int: ...
    """
    graph = build(project(text).project)
    assert [wire.partwise for name in ("same", "other") for wire in graph.nodes[name].by_role("artifact")] == [True, False]


def test_a_named_tuple_makes_an_artifact_per_field(project: Write) -> None:
    text = """
    class Split(NamedTuple):
        train: pl.DataFrame
        score: float

    @p.step
    def split() -> Split: ...

    @p.step
    def use_it(train: pl.DataFrame, score: float) -> int: ...
    """
    graph = build(project(text).project)
    assert [(o.artifact, o.kind, o.field) for o in graph.nodes["split"].outputs] == [
        ("train", "table", "train"),
        ("score", "scalar", "score"),
    ]
    assert graph.makers["train"] == "split"
    assert graph.upstream("use_it") == ["split"]
    assert graph.output("score").kind == "scalar"


def test_annotations_may_be_text(project: Write) -> None:
    """`from __future__ import annotations` and quoted names wire as types do."""
    loaded = project(BASE + "@p.step\ndef s(late: 'Model', rate: 'float' = 1.0) -> 'int': ...", head=FUTURE)
    assert [(wire.role, wire.annotation) for wire in build(loaded.project).nodes["s"].wires] == [
        ("artifact", "'Model'"),
        ("setting", "'float'"),
    ]


def test_the_table_of_classes_says_what_each_parameter_is(project: Write) -> None:
    text = BASE + "@p.train\ndef s(delay: Features, is_big: bool, leaves: int = tune(2, 9, default=4)) -> Model: ..."
    rows = {(row.node, row.parameter): row for row in classes(build(project(text).project))}
    assert (rows["s", "delay"].role, rows["s", "delay"].type) == ("artifact", "table as features")
    assert rows["s", "is_big"].default == "required"
    assert rows["s", "leaves"].default == "4 (tune: 2 to 9)"
    assert rows["departures", "source"].source == "data/*.parquet"
    assert rows["is_late", "carrier"].role == "request"
    assert msgspec.json.encode(rows["s", "leaves"])


FUTURE = (
    "from __future__ import annotations\n"
    + """\
from typing import NamedTuple
import polars as pl
from bedplate import Context, Features, Files, Model, Pickle, Project

p = Project("p")
"""
)
