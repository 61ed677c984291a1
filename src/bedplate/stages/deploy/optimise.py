"""Optimising a model for the machine that serves it: runtimes prepared and measured, and lighter models as side versions behind a gate.

Without a way, every runtime that takes the model is prepared in this machine's state and measured; a server then takes the quickest that
agrees. With ways (`distil`, `prune`, `quantise`, in this order), the lightest candidate that passes the gate becomes a side version, with
the report among what is known of it: nothing but a person's `promote` puts it into service.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import polars as pl

from bedplate.core.errors import InternalError, Refused, UserError
from bedplate.core.model import Model
from bedplate.core.records import Input, Record, Version
from bedplate.pipeline.outside import Made, commit, new_attempt
from bedplate.pipeline.wiring.graph import Node
from bedplate.pipeline.workspace import Workspace
from bedplate.storage import runtimes
from bedplate.storage.foreign import example_of, fitted
from bedplate.storage.runtimes import Source
from bedplate.storage.shelf import Save

from . import lighter
from .choose import PRODUCTION
from .gate import Figure, Gate, lost, refused
from .runtime import Choice, measured

STEP: Final = "optimise"
WAYS: Final = ("distil", "prune", "quantise")
STATIC: Final = "int8-static"
COMPILERS: Final = ("compiled", "torch.export")
"""Runtimes that are the model compiled; the others are only another library."""

Say = Callable[[str], None]


class Wish(Record, frozen=True, kw_only=True):
    """What to do: the ways to a lighter model, whether to compile it, how much a figure of its check may fall; `rows` is the table that a
    student learns from, or that the scales of a network's values are found on (empty: the first that has the model's inputs).

    `quantise` is `int8` (scales of values are found as they come) or `int8-static` (they are found before, and fixed).
    """

    distil: bool = False
    prune: bool = False
    quantise: str = ""
    compile: bool = False
    loss: float = 0.005
    rows: str = ""

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways, in the order that they are gone."""
        return tuple(way for way in WAYS if getattr(self, way))


class Report(Record, frozen=True, kw_only=True):
    """What came of it: the model, the side version where one was made, what was done, bytes, figures of the check, and the runtimes.

    `before` and `after` are how the two are asked here, each by its own quickest runtime.
    """

    model: str
    version: str = ""
    done: tuple[str, ...] = ()
    bytes_before: int = 0
    bytes_after: int = 0
    figures: tuple[Figure, ...] = ()
    before: Choice | None = None
    after: Choice | None = None
    problems: dict[str, str] = msgspec.field(default_factory=dict)


class _Passed(NamedTuple):
    """A candidate that passed the gate."""

    what: str
    model: Model
    source: Source
    figures: tuple[Figure, ...]


class Optimising:
    """One model of a workspace. Raises NotFound for no such model, UserError where it does not compute on rows of numbers."""

    def __init__(self, workspace: Workspace, name: str) -> None:
        self._workspace = workspace
        self.version = _version(workspace, name)
        self._model: Model = workspace.store.load(self.version, "model")
        found = workspace.store.source(self.version, self._model)
        if found is None:
            raise UserError(f"{self.version.ref} does not compute on rows of numbers", why="it takes text, or its inputs one by one")
        self._source = found
        self._tolerance = float(workspace.config["runtime_tolerance"])

    def run(self, wish: Wish, say: Say, command: str = "") -> Report:
        """Do it. Raises UserError for a way that the model does not allow, Refused where no candidate passes the gate."""
        if not wish.ways:
            return self._prepared(wish, say)
        with tempfile.TemporaryDirectory() as folder:
            return self._lightened(wish, say, command, Path(folder))

    def _prepared(self, wish: Wish, say: Say) -> Report:
        before = self._measured(self.version, self._source)
        problems = self._prepare(self.version, self._source, wish, say)
        size = self.version.size_bytes
        after = self._measured(self.version, self._source)
        return Report(model=self.version.ref, bytes_before=size, bytes_after=size, before=before, after=after, problems=problems)

    def _lightened(self, wish: Wish, say: Say, command: str, folder: Path) -> Report:
        gate = Gate(self._workspace, self.version.artifact)
        rows, used = self._calibration(gate, wish) if wish.quantise == STATIC else self._rows(gate, wish)
        example = example_of(self.version) if rows is None else rows
        passed: list[_Passed] = []
        for way in wish.ways:
            source = passed[-1].source if passed else self._source
            passed.append(self._lightest(way, self._candidates(way, source, rows, example, wish), gate, wish, say, folder / way))
        last, done = passed[-1], tuple(one.what for one in passed)
        meta = {"of": self.version.ref, "done": done, "loss": wish.loss, "figures": msgspec.to_builtins(last.figures)}
        version = self._commit(last.model, {"optimised": meta}, done, {**gate.inputs, **used}, command)
        kept = self._workspace.store.source(version, self._workspace.store.load(version, "model"))
        if kept is None:
            raise InternalError(f"{version.ref} does not compute on rows of numbers", why="the candidate that passed did")
        problems = self._prepare(version, kept, wish, say) if wish.compile else {}
        return Report(
            model=self.version.ref, version=version.ref, done=done, bytes_before=self.version.size_bytes, bytes_after=version.size_bytes,
            figures=last.figures, before=self._measured(self.version, self._source), after=self._measured(version, kept), problems=problems,
        )  # fmt: skip

    def _candidates(
        self, way: str, source: Source, rows: pl.DataFrame | None, example: Any, wish: Wish
    ) -> Iterator[tuple[str, Model]]:  # fmt: skip
        if way == "prune":
            return lighter.pruned(source, example)
        if way == "quantise" and wish.quantise == STATIC and rows is not None:
            return lighter.calibrated(source, rows)
        if way == "quantise":
            return lighter.quantised(source, example)
        if rows is None:
            name = self.version.artifact
            raise UserError(
                f"no table has all that {name} takes", why="a student learns from what the model says of rows", next="--rows TABLE"
            )
        return lighter.distilled(source, rows)

    def _lightest(
        self, way: str, candidates: Iterator[tuple[str, Model]], gate: Gate, wish: Wish, say: Say, folder: Path
    ) -> _Passed:  # fmt: skip
        """The first candidate that passes the gate. Raises Refused where none does."""
        why, needed = "there was nothing to try", 0.0
        for at, (what, model) in enumerate(candidates):
            place = folder / str(at)
            place.mkdir(parents=True)
            loaded, source = self._workspace.store.tried(model, place)
            if source is None:
                raise UserError("the lighter model does not compute on rows of numbers", why=what)
            figures = gate.figures(self._model, loaded)
            why, needed = refused(figures, wish.loss), lost(figures)
            say(f"{way}: {what}: {why or 'it passes ' + gate.node.name}")
            if not why:
                return _Passed(what, model, source, figures)
        option = f"{way} {wish.quantise}" if way == "quantise" else way
        more = f"bedplate optimise {self.version.artifact} --{option} --loss {needed:g} would take it; or go another way"
        next = more if needed else "another of --prune, --distil and --quantise"
        raise Refused(f"no lighter {self.version.ref} passes {gate.node.name}", why=why, next=next)

    def _commit(self, model: Model, meta: dict[str, Any], done: tuple[str, ...], inputs: dict[str, Input], command: str) -> Version:
        workspace = self._workspace
        workspace.recover()
        attempt, began = new_attempt(workspace)
        name = self.version.artifact
        draft = workspace.store.save(Save(kind="model", artifact=name, value=model, attempt=attempt, prior=self.version, meta=meta))
        used = {**inputs, "model": Input(artifact=name, view="model", version=self.version)}
        made = Made(
            draft=draft, attempt=attempt, began=began, step=STEP, stage="deploy", why=f"{self.version.ref}: {'; '.join(done)}",
            command=command, inputs=used,
        )  # fmt: skip
        return commit(workspace, made)

    def _prepare(self, version: Version, source: Source, wish: Wish, say: Say) -> dict[str, str]:
        """Prepare runtimes; what could not be, and why."""
        problems: dict[str, str] = {}
        for name in runtimes.for_flavour(source.stored.flavour):
            if name in runtimes.AS_IT_IS or (wish.compile and name not in COMPILERS):
                continue
            say(f"{name}: making it ready")
            try:
                runtimes.prepare(name, source, self._folder(version))
            except UserError as error:
                problems[name] = f"{error.what}: {error.why}" if error.why else error.what
                say(f"{name}: {problems[name]}")
        return problems

    def _measured(self, version: Version, source: Source) -> Choice:
        return measured(source, self._folder(version), tolerance=self._tolerance, timer=time.perf_counter)[0]

    def _folder(self, version: Version) -> Path:
        return runtimes.place(self._workspace.config.state, version.digest)

    def _rows(self, gate: Gate, wish: Wish) -> tuple[pl.DataFrame | None, dict[str, Input]]:
        """Rows of the model's inputs: the table named, else the first that training or the check takes and that has them all."""
        return self._first([wish.rows] if wish.rows else [*self._tables(gate), *self._judged(gate)], wish)

    def _calibration(self, gate: Gate, wish: Wish) -> tuple[pl.DataFrame, dict[str, Input]]:
        """Rows to find the scales of values on: as `_rows`, never those that the check judges by. Raises UserError where there are none."""
        judged = self._judged(gate)
        if wish.rows in judged:
            why = f"{gate.node.name} judges by it, and would judge what it has helped to make"
            raise UserError(f"{wish.rows} is not for calibration", why=why, next="--rows TABLE, with rows that no check takes")
        rows, used = self._first([wish.rows] if wish.rows else [name for name in self._tables(gate) if name not in judged], wish)
        if rows is None:
            why = f"it takes a table with all inputs, which training of {self.version.artifact} takes and {gate.node.name} does not"
            raise UserError(
                "there is nothing to calibrate on", why=why, next="--rows TABLE, or split the table in a prepare; int8 needs no rows"
            )
        return rows, used

    def _first(self, names: Iterable[str], wish: Wish) -> tuple[pl.DataFrame | None, dict[str, Input]]:
        """The first table that has all inputs of the model."""
        inputs = self._source.stored.signature.inputs
        for name in dict.fromkeys(names):
            version = self._workspace.catalog.artifacts.get(name)
            frame: pl.LazyFrame = self._workspace.store.load(version, "polars.lazy")
            if wish.rows or {field.name for field in inputs} <= set(frame.collect_schema().names()):
                return fitted(frame, inputs), {"rows": Input(artifact=version.artifact, view="polars.lazy", version=version)}
        return None, {}

    def _tables(self, gate: Gate) -> list[str]:
        """The tables that training takes, those first that the check does not."""
        graph = self._workspace.graph
        maker = graph.nodes.get(graph.makers.get(self.version.artifact, ""))
        return sorted(self._made(maker), key=set(self._judged(gate)).__contains__) if maker else []

    def _judged(self, gate: Gate) -> list[str]:
        """The tables that the check takes."""
        return self._made(gate.node)

    def _made(self, node: Node) -> list[str]:
        names = dict.fromkeys(wire.base for wire in node.by_role("artifact") if wire.kind == "table" and not wire.is_use)
        return [name for name in names if self._workspace.catalog.artifacts.find(name) is not None]


def _version(workspace: Workspace, name: str) -> Version:
    """The version that is meant: as written, else the one in production, else the head. Raises NotFound, UserError."""
    catalog = workspace.catalog
    number = None if "@" in name else catalog.models.alias(name, PRODUCTION)
    version = catalog.artifacts.get(name if number is None else f"{name}@{number}")
    if version.kind != "model":
        raise UserError(f"{version.ref} is a {version.kind}, not a model", next="bedplate lint lists what each name is")
    return version
