"""Run or skip: what a step would be given now, and whether that has been made before.

Reads the catalog and asks the store whether bytes are still there; decides nothing by itself beyond the rules of
architecture's invariants 2 and 8. `plan` and `run` both ask here, so that what is planned is what happens.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.clock import Clock
from bedplate.core.errors import BedplateError, CorruptError, NotFound, StoreError, UserError
from bedplate.core.kinds import KIND_SCHEMA
from bedplate.core.parameters import Keys
from bedplate.core.project import Needs
from bedplate.core.records import Input, KeyParts, Record, Step, Version
from bedplate.core.sources import Entry, continues
from bedplate.storage.store import Store

from .cache import Keyer
from .code.closure import key
from .handlers import ListSource
from .served import served
from .times import following
from .why import AGAIN, FIRST, FORCED, Reason, explain
from .wiring.graph import Graph, Node, Wire

Made = Mapping[str, Version]
"""Artifact name -> the version that this run made or found for it; with `each=`, also `name[part]`."""


class Decision(Record, frozen=True, kw_only=True):
    """What is to be done about a step (or one part of it), and why.

    `seen` are the entries of each source that the head has, where the step may go on from it (`source.new()`); empty where it begins anew.
    """

    name: str
    part: str = ""
    action: Literal["run", "skip", "maybe", "blocked"]
    reasons: tuple[Reason, ...] = ()
    cache_key: str = ""
    key_parts: KeyParts | None = None
    inputs: dict[str, Input] = msgspec.field(default_factory=dict)
    sources: dict[str, tuple[Entry, ...]] = msgspec.field(default_factory=dict)
    seen: dict[str, tuple[Entry, ...]] = msgspec.field(default_factory=dict)
    result: str = ""
    needs: Needs | None = None
    combine: dict[str, dict[str, Version]] = msgspec.field(default_factory=dict)
    versions: tuple[Version, ...] = ()
    spoilt: tuple[Version, ...] = ()


class Decider:
    """Decides for the steps of one graph.

    `forced` are the steps that run whatever the cache says, for the reason `forced_as`; `pinned` the versions to take for references,
    instead of what is there (None: absent); `parts` the only parts to run of a step with `each=`; `due` the steps whose sources are
    looked at anew, though `every=` says that the last look holds.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        store: Store,
        graph: Graph,
        keyer: Keyer,
        list_source: ListSource,
        folder: Path,
        clock: Clock,
        forced: frozenset[str] = frozenset(),
        forced_as: Reason = FORCED,
        pinned: Mapping[str, Version | None] | None = None,
        parts: Mapping[str, tuple[str, ...]] | None = None,
        due: frozenset[str] = frozenset(),
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._graph = graph
        self._keyer = keyer
        self._list_source = list_source
        self._folder = folder
        self._clock = clock
        self._forced = forced
        self._forced_as = forced_as
        self._pinned = pinned or {}
        self._parts = parts or {}
        self._due = due

    def parts(self, node: Node, made: Made) -> tuple[str, ...]:
        """The keys of a step with `each=`, or those of them that were asked for; without, the one empty part."""
        wanted = self._parts.get(node.name)
        if wanted is not None and self._forced_as is AGAIN:
            return wanted  # a key of then may have gone
        keys = self._keys(node, made)
        if wanted is not None and (unknown := next((key for key in wanted if key not in keys), None)) is not None:
            raise NotFound(f"{node.name} has no part '{unknown}'", next=f"bedplate plan {node.name}")
        return keys if wanted is None else wanted

    def _keys(self, node: Node, made: Made) -> tuple[str, ...]:
        if node.each is None:
            return ("",)
        if isinstance(node.each, Keys):
            return node.each.until(self._clock.now())
        version = self._version(node.each, made)
        if version is None:
            raise UserError(f"{node.name} runs for each of '{node.each}', which has no version yet")
        keys = self._store.keys(version)
        if "" in keys:
            raise UserError(f"'{node.each}' has an empty key", why=f"{node.name} runs for each", next="leave it out")
        if dots := next((key for key in keys if key in (".", "..")), None):
            raise UserError(f"'{node.each}' has the key '{dots}'", why="no file of a part can be called so", next="give it another name")
        if len(set(keys)) < len(keys):
            twice = next(key for key, count in Counter(keys).items() if count > 1)
            raise UserError(f"'{node.each}' has the key {twice!r} twice", why=f"{node.name} runs for each", next="return each key once")
        return keys

    def is_whole(self, node: Node) -> bool:
        """Whether all parts of a step with `each=` are run, so that they are put together at the end."""
        return node.name not in self._parts

    def decide(self, node: Node, part: str, made: Made) -> Decision:
        """Run or skip `node` (for one part), given what its inputs are now."""
        try:
            inputs = {wire.name: self._input(node, wire, part, made) for wire in node.wires if wire.role == "artifact"}
            sources = self._sources(node)
        except BedplateError as error:
            return Decision(name=node.name, part=part, action="blocked", reasons=(Reason(what="input", text=error.line),))
        parts = self._keyer.parts(node, part, inputs, sources)
        cache_key = key(parts)
        common = Decision(name=node.name, part=part, action="run", cache_key=cache_key, key_parts=parts, inputs=inputs, sources=sources)
        remembered = self._made_anew(common) if node.name in self._forced else self._remembered(common)
        if remembered.action == "skip" or remembered.reasons:
            return remembered
        return msgspec.structs.replace(
            remembered, reasons=self.reasons(node, part, parts, sources), seen=self._seen(node, part, parts, sources)
        )

    def ahead(self, node: Node, behind: Sequence[str]) -> Decision:
        """What can be said of a step before the steps that it is `behind` have run: that it will, or may."""
        if node.name in self._forced:
            return Decision(name=node.name, action="run", reasons=(self._forced_as,))
        last = self._catalog.runs.last_step(node.name)
        if last is None or last.key_parts is None:
            return Decision(name=node.name, action="run", reasons=(FIRST,))
        before, now = last.key_parts, self._keyer.own(node)
        now = msgspec.structs.replace(now, inputs=before.inputs, versions=before.versions, sources=before.sources, part=before.part)
        if node.each is None and (reasons := explain(now, before)):
            return Decision(name=node.name, action="run", reasons=reasons)
        changes = Reason(what="input", text=f"runs if {' or '.join(behind)} changes")
        return Decision(name=node.name, action="maybe", reasons=(changes,))

    def again(self, decision: Decision) -> Decision:
        """The decision now, with the inputs that it was made for: another run may have made the same since."""
        return decision if decision.name in self._forced else self._remembered(decision)

    def _remembered(self, decision: Decision) -> Decision:
        """Skip where the catalog knows the key and the bytes are there; run, with the reason, where they are gone."""
        attempt = self._catalog.runs.cached(decision.cache_key)
        if attempt is None:
            return decision
        versions = self._catalog.artifacts.by_attempt(attempt)
        gone = tuple(version for version in versions if not self._is_there(version))
        if gone:
            reason = Reason(what="bytes", text=f"the bytes of {', '.join(version.ref for version in gone)} are gone")
            return msgspec.structs.replace(decision, spoilt=gone, reasons=(reason,))
        unchanged = Reason(what="same", text=f"unchanged since {', '.join(v.ref for v in versions) or 'its last run'}")
        return msgspec.structs.replace(decision, action="skip", result=attempt, versions=versions, reasons=(unchanged,))

    def _made_anew(self, decision: Decision) -> Decision:
        """Run, whatever the cache says; bytes that the key once gave are read, so that corrupt ones are written again."""
        attempt = self._catalog.runs.cached(decision.cache_key)
        versions = () if attempt is None else self._catalog.artifacts.by_attempt(attempt)
        return msgspec.structs.replace(decision, spoilt=tuple(version for version in versions if not self._is_sound(version)))

    def _is_there(self, version: Version) -> bool:
        try:
            return self._store.exists(version)
        except CorruptError:
            return False

    def _is_sound(self, version: Version) -> bool:
        try:
            self._store.verify(version)
        except StoreError:
            return False
        return True

    def combine(self, node: Node, parts: tuple[str, ...], made: Made) -> Decision:
        """Put the parts of a step with `each=` together: one version, whose key is its parts' digests."""
        together = {part: {out.artifact: made[f"{out.artifact}[{part}]"] for out in node.outputs} for part in parts}
        inputs = {f"{name}[{part}]": v.digest for part, versions in together.items() for name, v in versions.items()}
        key_parts = KeyParts(code=(), inputs=inputs, kinds={out.kind: KIND_SCHEMA[out.kind] for out in node.outputs})
        decision = Decision(name=node.name, action="run", cache_key=key(key_parts), key_parts=key_parts, combine=together)
        remembered = self._remembered(decision)
        changed = Reason(what="input", text=f"{len(parts)} parts, of which some changed")
        return remembered if remembered.reasons else msgspec.structs.replace(decision, reasons=(changed,))

    def reasons(self, node: Node, part: str, parts: KeyParts, sources: Mapping[str, tuple[Entry, ...]]) -> tuple[Reason, ...]:
        """Why a step without a cached result has to run: what changed since it last ended."""
        if node.name in self._forced:
            return (self._forced_as,)
        last: Step | None = self._catalog.runs.last_step(node.name, part)
        entries = {name: (now, self._catalog.sources.entries(node.name, name)) for name, now in sources.items()}
        reasons = explain(parts, last.key_parts if last else None, entries)
        return reasons or (Reason(what="first", text="its last result was not committed"),)

    def _seen(self, node: Node, part: str, now: KeyParts, sources: Mapping[str, tuple[Entry, ...]]) -> dict[str, tuple[Entry, ...]]:
        """What the head has seen of each source, where only new entries have come since and nothing else changed.

        Otherwise the step begins anew: other code, other settings, a changed or vanished file or lost bytes make all of it another result.
        """
        if not sources or node.name in self._forced:
            return {}
        last = self._catalog.runs.last_step(node.name, part)
        if last is None or last.key_parts is None or key(_without_sources(last.key_parts)) != key(_without_sources(now)):
            return {}
        for version in self._catalog.artifacts.by_attempt(last.result):
            head = self._catalog.artifacts.head(version.artifact)
            if head is None or head.number != version.number or not self._store.exists(head):
                return {}
        seen = {name: self._catalog.sources.entries(node.name, name) for name in sources}
        return seen if all(continues(before, sources[name]) for name, before in seen.items()) else {}

    def _sources(self, node: Node) -> dict[str, tuple[Entry, ...]]:
        found = {}
        for wire in node.wires:
            if wire.role != "source" or wire.source is None:
                continue
            known = self._catalog.sources.entries(node.name, wire.name)
            fresh = known and self._still_fresh(node)
            found[wire.name] = known if fresh else self._list_source(wire.source, self._folder, known)
        return found

    def _still_fresh(self, node: Node) -> bool:
        """Whether `every=` says that the last fingerprint still holds."""
        schedule = node.declaration.every
        if schedule is None or node.name in self._forced or node.name in self._due:
            return False
        last = self._catalog.runs.last_step(node.name)
        if last is None or not last.result:
            return False
        read_at = self._catalog.runs.attempt(last.result).started_at
        until = following(schedule, read_at, read_at)
        return until is None or self._clock.now() < until

    def _input(self, node: Node, wire: Wire, part: str, made: Made) -> Input:
        version = self._version(f"{wire.artifact}[{part}]" if wire.partwise and part else wire.artifact, made)
        if wire.is_use:
            version = self._champion(node, wire, version, made)
        elif version is None and not (wire.optional and wire.kind == "service"):
            gap = "has predicted nothing yet (bedplate serve)" if wire.kind == "service" else "has no version yet"
            raise UserError(f"'{wire.artifact}' {gap}")
        spec = self._graph.spec(wire.base) if wire.view == "features" else {}
        return Input(artifact=wire.artifact, view=self._graph.default_view(wire), version=version, spec=spec)

    def _version(self, ref: str, made: Made) -> Version | None:
        if ref in self._pinned:
            return self._pinned[ref]
        if ref in made:
            return made[ref]
        maker = self._graph.nodes.get(self._graph.makers.get(ref, ""))
        if maker is not None and maker.declaration.decorator == "service":
            return served(self._store, ref, self._clock.now())
        return self._catalog.artifacts.find(ref)

    def _champion(self, node: Node, wire: Wire, current: Version | None, made: Made) -> Version | None:
        """The champion a candidate is compared with is the one before it.

        A check that promotes to the alias it compares with would otherwise see a new champion, itself, and run again.
        """
        model, _, alias = wire.artifact.partition("@")
        if current is None or node.declaration.promotes != alias or wire.artifact in self._pinned:
            return current
        candidate = self._version(model, made)
        if candidate is None or candidate.number != current.number:
            return current
        moves = [m for m in self._catalog.models.history(model, alias) if m.version == current.number and m.by != "rollback"]
        if not moves:
            return current
        move = next((m for m in reversed(moves) if m.by == "verdict"), moves[0])
        return None if move.before is None else self._catalog.artifacts.find(f"{model}@{move.before}")


def _without_sources(parts: KeyParts) -> KeyParts:
    return msgspec.structs.replace(parts, sources={})
