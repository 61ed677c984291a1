"""The worker's half of a step: hand a function its inputs, store what it returns, answer with an Outcome.

Bytes are stored first and the outcome is staged beside them before it is sent, so that a controller killed in between is
followed by one that adopts it (invariant 3). In the controller's own process the short ones are not: nobody outlives it to answer, and
they are sooner made again than written down. Nothing here writes to the catalog.
"""

from __future__ import annotations

import math
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from bedplate.core.clock import Clock
from bedplate.core.context import Context, Noted, OthersCheckpoints
from bedplate.core.errors import BedplateError, UserError, WorldError
from bedplate.core.hiding import hidden
from bedplate.core.model import Model
from bedplate.core.parameters import Secret
from bedplate.core.records import Cause, Draft, Input, Outcome, Task, Version
from bedplate.core.samples import Samples
from bedplate.storage.shelf import Save
from bedplate.storage.store import Store

from .code.load import Loaded
from .handlers import Handler, ListSource, Work, annotated
from .opened import Opened
from .same import Same
from .wiring.graph import Graph, Node, Wire

_PROGRESS_EVERY_S = 0.1
_MESSAGE = 2_000
_TRACEBACK = 20_000


class Execution:
    """Runs tasks of one loaded project; one instance lives as long as its worker.

    Outcomes that took at least `stages_from_s` seconds are staged. `list_source` looks again at what a step has read; without it,
    nobody does. What lies in `state` or in the store's own folder is no input of a step, whoever reads it.
    """

    def __init__(
        self,
        loaded: Loaded,
        graph: Graph,
        store: Store,
        handlers: Mapping[str, Handler],
        *,
        clock: Clock,
        stopping: Callable[[], bool],
        keep_checkpoints: int,
        opened: Opened,
        state: Path,
        stages_from_s: float = 0.0,
        list_source: ListSource | None = None,
    ) -> None:
        self.loaded = loaded
        self.graph = graph
        self.store = store
        self.handlers = handlers
        self.clock = clock
        self.stopping = stopping
        self.keep_checkpoints = keep_checkpoints
        self.opened = opened
        self.state = state
        self.stages_from_s = stages_from_s
        self._same = Same(loaded, graph, list_source)
        self._home, self._environ = Path.cwd(), dict(os.environb)

    def run(self, task: Task, report: Callable[[bytes], None]) -> Outcome:
        """Run one task; `report` gets encoded Noted records as they come.

        Every failure is an Outcome that names its cause; only our own bugs escape.
        """
        secrets = known_secrets(self.graph.nodes.get(task.step))
        notes = Notes(report, self.clock, secrets)
        wall, cpu = time.perf_counter(), time.process_time()
        drafts: tuple[Draft, ...] = ()
        failure: tuple[Cause, str, str] = ("", "", "")
        inputs = [entry.path for entries in task.sources.values() for entry in entries]
        with self._put_back():
            try:
                self._same.before(task)
                with self.opened.watching((self.state, self.store.root), inputs):
                    drafts = self._call(task, notes)
                    notes.files = tuple(self._keep(noted) for noted in notes.files)
                self._same.after(task)
            except BaseException as error:
                failure = self._failure(error, self.graph.nodes.get(task.step))
        outcome = Outcome(
            attempt=task.attempt,
            task=task,
            drafts=drafts,
            noted=(*notes.kept, *notes.files),
            cause=failure[0],
            message=_plain(hidden(failure[1], secrets), _MESSAGE),
            traceback=_plain(hidden(failure[2], secrets), _TRACEBACK),
            opened=self._same.beside(task, self.opened),
            cpu_s=time.process_time() - cpu,
            wall_s=time.perf_counter() - wall,
        )
        if outcome.ok and not task.rank:
            if outcome.wall_s >= self.stages_from_s:
                self.store.stage(outcome)
            self.store.checkpoints(task.cache_key, self.keep_checkpoints).clear()
        return outcome

    @contextmanager
    def _put_back(self) -> Iterator[None]:
        """A step may change folder and environment for itself, not for the next one in this worker."""
        try:
            yield
        finally:
            if self.opened.moved:
                with suppress(OSError):
                    os.chdir(self._home)
                os.environb.clear()
                os.environb.update(self._environ)

    def _call(self, task: Task, notes: Notes) -> tuple[Draft, ...]:
        node = self.graph.nodes[task.step]
        if task.combine:
            return tuple(
                self.store.combine(out.artifact, out.kind, self._together(task, out.artifact), task.attempt) for out in node.outputs
            )
        context = self._context(task, notes)
        arguments = {wire.name: self._argument(task, wire, context) for wire in node.wires}
        work = Work(task=task, node=node, arguments=arguments, context=context, store=self.store, folder=self.loaded.file.parent)
        handler = self.handlers[node.declaration.decorator]
        try:
            return self._made(task, node, work, handler)
        except Exception as error:
            if (fault := handler.at_fault(work, error)) is not None:
                raise fault from error
            raise

    def _made(self, task: Task, node: Node, work: Work, handler: Handler) -> tuple[Draft, ...]:
        values = handler.call(work)
        work.context.checkpoints.wait()
        for wire in node.wires:
            if wire.view == "samples":
                _tell(work.context, wire.name, work.arguments[wire.name])
        if task.rank:
            return ()  # rank 0 stores what all have made
        return tuple(self._save(task, node, work, artifact, value) for artifact, value in values.items())

    def _save(self, task: Task, node: Node, work: Work, artifact: str, value: Any) -> Draft:
        output = next(out for out in node.outputs if out.artifact == artifact)
        name = f"{artifact}[{task.part}]" if task.part else artifact
        return self.store.save(
            Save(
                kind=output.kind,
                artifact=name,
                value=value,
                attempt=task.attempt,
                prior=task.prior.get(name),
                append=artifact in work.append,
                spec=node.declaration.features,
                expects=node.declaration.expects,
                part=bool(task.part),
            )
        )

    def _together(self, task: Task, artifact: str) -> dict[str, Version]:
        return {part: versions[artifact] for part, versions in task.combine.items()}

    def _context(self, task: Task, notes: Notes) -> Context:
        kept = self.store.checkpoints(task.cache_key, self.keep_checkpoints)
        return Context(
            emit=notes,
            run=task.run,
            step=task.step,
            attempt=task.attempt,
            seed=task.seed,
            deadline=task.deadline,
            stopping=self.stopping,
            checkpoints=OthersCheckpoints(kept) if task.rank else kept,
            rank=task.rank or 0,
            world=task.world,
            stops_at_nan=self.graph.nodes[task.step].declaration.on_nan == "stop",
        )

    def _argument(self, task: Task, wire: Wire, context: Context) -> Any:
        match wire.role:
            case "context":
                return context
            case "key":
                return task.part
            case "secret":
                return _secret(wire.name)
            case "source":
                assert wire.source is not None
                return wire.source.bind(task.sources[wire.name], task.seen.get(wire.name, ()))
            case "setting":
                return task.settings.get(wire.name, wire.default)
            case _:
                return self._artifact(task.inputs[wire.name], wire)

    def _artifact(self, given: Input, wire: Wire) -> Any:
        if given.version is None:
            return Model(ref=given.artifact) if wire.view == "model" and not wire.optional else None
        value = self.store.load(given.version, given.view, given.spec)
        return annotated(value, wire.hint) if given.view == "scalar" else value

    def _keep(self, noted: Noted) -> Noted:
        """A file that the step wants kept goes to the store; the note then carries its digest."""
        path = Path(str(noted.value))
        if not path.is_file():
            raise UserError(f"context.artifact: there is no file {path}", why="it was not there when the step ended")
        return msgspec.structs.replace(noted, value=self.store.keep(path))

    def _failure(self, error: BaseException, node: Node | None) -> tuple[Cause, str, str]:
        if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and self.stopping()):
            return "cancelled", "stopped on request", ""
        if isinstance(error, UserError):
            return "user", str(error), ""
        if isinstance(error, BedplateError):
            return ("world" if isinstance(error, WorldError) else "code"), str(error), ""
        if isinstance(error, MemoryError):
            return "memory", "the process ran out of memory", self._frames(error, node)
        text = "".join(traceback.format_exception_only(error)).strip()
        if isinstance(error, FileNotFoundError) and self._kept(text):
            return "world", f"what it read was deleted while it ran: {text}", ""
        return "code", text, self._frames(error, node)

    def _kept(self, text: str) -> bool:
        """Whether a message names a file of the store or of the cache tier, whose copies may go at any time; its path may be cut short."""
        places = [self.store.root] if self.store.cache is None else [self.store.root, self.store.cache.folder]
        return any(f"{place.parent.name}/{place.name}/" in text for place in places)

    def _frames(self, error: BaseException, node: Node | None) -> str:
        """The traceback from the project's own first frame on: what the user can act on.

        Without one, as where a lazy frame is collected after the step returned it, the place of the step.
        """
        frames = traceback.extract_tb(error.__traceback__)
        folder = str(self.loaded.file.parent) + os.sep
        first = next((i for i, frame in enumerate(frames) if frame.filename.startswith(folder)), None)
        if first is not None:
            return "".join(traceback.format_list(frames[first:]))
        if node is None:
            return ""
        declared = node.declaration
        return f'  File "{declared.file}", line {declared.line}, in {node.name}\n    raised when what it returned was worked out and kept\n'


class Notes:
    """Collects what the Context says and passes it on, without `secrets`: metrics at once, progress at most ten times a second."""

    def __init__(self, report: Callable[[bytes], None], clock: Clock, secrets: Sequence[Secret] = ()) -> None:
        self.kept: list[Noted] = []
        self.files: tuple[Noted, ...] = ()
        self._report = report
        self._clock = clock
        self._next = 0.0
        self._secrets = secrets

    def __call__(self, noted: Noted) -> None:
        if self._secrets and isinstance(noted.value, str) and noted.what != "file":
            noted = msgspec.structs.replace(noted, value=hidden(noted.value, self._secrets))
        if noted.what == "metric" and not math.isfinite(noted.value):
            noted = msgspec.structs.replace(noted, value=str(noted.value))  # JSON knows no infinity
        if noted.what == "file":
            self.files = (*self.files, noted)
            return
        if noted.what == "progress":
            if self._clock.monotonic() < self._next and noted.value[0] != noted.value[1]:
                return
            self._next = self._clock.monotonic() + _PROGRESS_EVERY_S
        said = msgspec.json.encode(noted, enc_hook=str)
        if noted.what != "progress":
            self.kept.append(noted)
        self._report(said)


def _plain(text: str, longest: int) -> str:
    """Text that every record and terminal can hold, whatever a step raised: no lone surrogates, no megabytes."""
    plain = text.encode("utf-8", "backslashreplace").decode()
    return plain if len(plain) <= longest else f"{plain[:longest]}... ({len(plain):,} characters)"


def _tell(context: Context, name: str, samples: Samples) -> None:
    """What a step read of its samples, and how long it waited for them, as metrics of the step."""
    told = samples.told()
    if told["samples"]:
        for what, value in told.items():
            context.metric(f"{name}.{what}", value)


def _secret(name: str) -> Secret:
    text = os.environ.get(name.upper())
    if text is None:
        raise UserError(f"the secret '{name}' is not set", why="it is read from the environment", next=f"export {name.upper()}=...")
    return Secret(text)


def known_secrets(node: Node | None) -> tuple[Secret, ...]:
    """The secrets that a step is given, as far as they are set: a library may put them into its errors and what it prints."""
    names = [wire.name.upper() for wire in node.by_role("secret")] if node is not None else []
    return tuple(Secret(os.environ[name]) for name in names if name in os.environ)


def deadline(now: datetime, seconds: float | None) -> datetime | None:
    """When a step that may take `seconds` has to be done."""
    return None if seconds is None else datetime.fromtimestamp(now.timestamp() + seconds, tz=now.tzinfo)
