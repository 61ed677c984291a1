"""Frozen records that cross the floors: what exists, how it came to be, what a worker is asked and answers.

Every field says its unit in its name (`_s` seconds, `_bytes`, `_joules`). Times are aware UTC datetimes. Records are msgspec
structs, so each has one JSON form.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from .columns import Column, columns
from .context import Noted
from .digests import short
from .kinds import Kind, View
from .sources import Entry

RunStatus = Literal["running", "done", "failed", "cancelled"]
StepStatus = Literal["waiting", "running", "done", "skipped", "failed", "cancelled"]
Cause = Literal["", "code", "memory", "time", "lost", "cancelled", "world", "user"]
"""Why an attempt ended: an error in the step's code, a limit hit, a worker lost, cancelled, the world's or the user's fault."""
Basis = Literal["measured", "assumed", "history", "planner", "unknown"]


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every record: immutable, keyword-only."""


class Draft(Record, frozen=True, kw_only=True):
    """What an attempt made: bytes are in the store, the catalog does not know of it yet.

    `uri` is relative to the store (`tables/late`, `blobs/sha256/ab/...`); `schema` is the kind's own description (JSON text);
    `value` holds scalars and checks themselves (JSON text); `rows` and `size_bytes` are what was written.
    """

    artifact: str
    kind: Kind
    digest: str
    uri: str = ""
    table_version: int | None = None
    schema: str = ""
    value: str | None = None
    rows: int | None = None
    size_bytes: int = 0
    meta: dict[str, Any] = msgspec.field(default_factory=dict)


class Version(Draft, frozen=True, kw_only=True):
    """A committed version of an artifact; `number` counts from 1. `head` says whether it moved the artifact's head."""

    number: int
    created_at: datetime
    attempt: str
    head: bool = True

    def __repr__(self) -> str:
        return f"<{self.ref}: {self.kind}, {short(self.digest)}>"

    @property
    def ref(self) -> str:
        """`late@7`: how people and commands name it."""
        return f"{self.artifact}@{self.number}"

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table, or what a model takes and gives, with types in words; none of another kind."""
        return columns(self.schema)


class Part(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One function, class, constant or module in a step's code closure, with its digest and place.

    `imports` is the dotted name that an import of something installed stands for: which, not how it is written there.
    """

    name: str
    digest: str
    file: str = ""
    line: int = 0
    imports: str = ""


class KeyParts(Record, frozen=True, kw_only=True):
    """Everything a cache key is made of (invariant 2), kept so that `why` can name what changed.

    `inputs` maps each parameter to the digest of what it receives, `versions` to its `artifact@number` (not part of the key);
    `sources` maps each source parameter to its fingerprint; `packages` each imported distribution to its version.
    """

    code: tuple[Part, ...]
    inputs: dict[str, str] = msgspec.field(default_factory=dict)
    versions: dict[str, str] = msgspec.field(default_factory=dict)
    sources: dict[str, str] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    packages: dict[str, str] = msgspec.field(default_factory=dict)
    python: str = ""
    kinds: dict[str, int] = msgspec.field(default_factory=dict)
    part: str = ""


class Usage(Record, frozen=True, kw_only=True):
    """What an attempt took. `energy_joules` carries its basis: `assumed` where no meter is readable.

    `cost_usd` is the wall time at the target's price per hour; 0 where the target has none.
    """

    wall_s: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    energy_joules: float = 0.0
    energy_basis: Basis = "unknown"
    cost_usd: float = 0.0


class Run(Record, frozen=True, kw_only=True):
    """One `bedplate run`: who, where, from which code, with which settings. One of the origin `client` was logged by a tracker's client."""

    id: str
    project: str
    target: str
    command: str
    started_at: datetime
    ended_at: datetime | None = None
    status: RunStatus = "running"
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    moves_heads: bool = True
    git_commit: str = ""
    git_dirty: bool = False
    host: str = ""
    pid: int = 0
    process_started: float = 0.0
    origin: Literal["project", "client"] = "project"


class Step(Record, frozen=True, kw_only=True):
    """A step of a run (with `each=`, one per part): decided to run or skip, why, and how it ended.

    `result` is the attempt whose versions it stands for: its own, or for a skip the one that made them.
    """

    run: str
    name: str
    part: str = ""
    stage: str = ""
    status: StepStatus = "waiting"
    why: str = ""
    cache_key: str = ""
    key_parts: KeyParts | None = None
    result: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None


class Attempt(Record, frozen=True, kw_only=True):
    """One try at a step. `fence` is the lease's fencing number under which it may commit."""

    id: str
    run: str
    step: str
    part: str = ""
    number: int = 1
    fence: int = 0
    started_at: datetime
    ended_at: datetime | None = None
    status: Literal["running", "done", "failed", "cancelled"] = "running"
    cause: Cause = ""
    message: str = ""
    log: str = ""
    usage: Usage = Usage()


class Input(Record, frozen=True, kw_only=True):
    """An artifact version handed to a parameter, and the view it is handed as. `version` None: absent (`use` of nothing)."""

    artifact: str
    view: View
    version: Version | None = None
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


class Task(Record, frozen=True, kw_only=True):
    """What a worker is asked: call one function of the project with these inputs and settings, store what comes out.

    With `combine` (part -> artifact -> version) nothing is called: the parts are put together as one version of each artifact. `code` is
    the digest of the step's code as it was keyed, `stamp` that of the project's files as they were loaded: a worker that loads others
    must not run other code under this key. `files` are those that the step imports only when it is called, with the time (ns) and size
    that they were keyed with.

    `world` is on how many ranks it runs. `rank` is one of them; it meets the others at `port` of loopback, and waits no longer for them
    than `patience_s`.
    """

    attempt: str
    run: str
    step: str
    part: str = ""
    project_file: str
    target: str = ""
    code: str = ""
    stamp: str = ""
    files: dict[str, tuple[int, int]] = msgspec.field(default_factory=dict)
    inputs: dict[str, Input] = msgspec.field(default_factory=dict)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    sources: dict[str, tuple[Entry, ...]] = msgspec.field(default_factory=dict)
    seen: dict[str, tuple[Entry, ...]] = msgspec.field(default_factory=dict)
    prior: dict[str, Version] = msgspec.field(default_factory=dict)
    cache_key: str = ""
    seed: int = 0
    deadline: datetime | None = None
    world: int = 1
    rank: int | None = None
    port: int = 0
    patience_s: float = 0.0
    combine: dict[str, dict[str, Version]] = msgspec.field(default_factory=dict)


class Outcome(Record, frozen=True, kw_only=True):
    """What a worker answers, written to the store before it is sent, so that a killed controller finds it again.

    `task` is what it was asked: with it an outcome can be committed by whoever finds it.

    `opened` are files that the step read outside its inputs (invariant 2); `traceback` is of the user's own frames.
    """

    attempt: str
    task: Task | None = None
    drafts: tuple[Draft, ...] = ()
    noted: tuple[Noted, ...] = ()
    cause: Cause = ""
    message: str = ""
    traceback: str = ""
    opened: tuple[str, ...] = ()
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the step's function returned and what it made is stored."""
        return not self.cause


class Verdict(Record, frozen=True, kw_only=True):
    """What a check said of a model version: `promotes` is the alias it gives when passed."""

    check: str
    check_version: int
    model: str
    model_version: int
    passed: bool
    promotes: str = ""
    at: datetime
    attempt: str = ""


class Promotion(Record, frozen=True, kw_only=True):
    """An alias moved: to `version` from `before`, by a verdict, a person or a rollback.

    `check` and `check_version` name the verdict that moved it (invariant 8), `actor` who did, where it was a person; where a person tries
    a version, `check` is the rule of that roll-out: `5 % for 30 min`.
    """

    model: str
    alias: str
    version: int
    before: int | None = None
    by: Literal["verdict", "person", "rollback"] = "verdict"
    reason: str = ""
    at: datetime
    check: str = ""
    check_version: int | None = None
    actor: str = ""


class Event(Record, frozen=True, kw_only=True):
    """Something that happened, for people, the console and due work: `kind` as `step.started`, about `subject`."""

    kind: str
    subject: str
    at: datetime
    data: dict[str, Any] = msgspec.field(default_factory=dict)


class Lease(Record, frozen=True, kw_only=True):
    """The right to write an artifact until `expires_at`; `fence` grows with every holder."""

    name: str
    holder: str
    fence: int
    expires_at: datetime


class Forecast(Record, frozen=True, kw_only=True):
    """A predicted quantity: the middle, the 80 % range, and on what it is based (invariant 11).

    `samples` is how many attempts it rests on; with the basis `planner` they are blended into what the planner says. `peak_bytes` is memory
    of the machine, `accelerator_bytes` that of the fullest accelerator.
    """

    quantity: Literal["wall_s", "cpu_s", "peak_bytes", "accelerator_bytes", "energy_joules", "cost_usd"]
    middle: float
    low: float
    high: float
    basis: Basis
    samples: int = 0
