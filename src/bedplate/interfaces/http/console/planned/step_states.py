"""How each step of the project stands: what the last look at the project said, with what the record has of runs since. Pure.

A step is fresh, stale (why), perhaps stale (something before it is), blocked, running, waiting (for what), failed (why), of a check did not
pass (what it found), or of a service
served or not. Without a look at the project only what runs have recorded is known: made, failed, running.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from bedplate.catalog.tallies import Tally
from bedplate.core.records import Record, Step
from bedplate.interfaces.http.console.frame import short
from bedplate.interfaces.http.console.graphs import Edge, Graph, Node
from bedplate.interfaces.http.console.tables import State, Tone
from bedplate.pipeline.whole import Placing, Whole

TONES: Final[Mapping[str, Tone]] = {
    "fresh": "good", "made": "good", "served": "good", "stale": "warn", "perhaps stale": "warn", "blocked": "bad", "failed": "bad",
    "running": "now", "waiting": "off", "not served": "off", "cancelled": "warn", "unknown": "off", "scheduled": "off",
    "did not pass": "bad",
}  # fmt: skip
"""What each state is drawn as."""
ACTIONS: Final = {"skip": "fresh", "run": "stale", "maybe": "perhaps stale", "blocked": "blocked", "serve": "not served"}
RECORDED: Final = {
    "done": "made",
    "skipped": "made",
    "failed": "failed",
    "cancelled": "cancelled",
    "running": "running",
    "waiting": "waiting",
}
_ORDER: Final = ("failed", "blocked", "running", "stale", "perhaps stale", "waiting", "cancelled", "unknown", "fresh", "made")
"""Of a step with many parts, the first of these that any part has is the step's."""
_NEVER: Final = "has never run"
_NOT_PASSED: Final = "did not pass"


class Stand(Record, frozen=True, kw_only=True):
    """One step: its state in a word, why, how many of its parts stand how (one of itself), the steps that it waits for and the
    services that it watches.
    """

    name: str
    stage: str
    state: str
    why: str = ""
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    after: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    each: str = ""

    @property
    def parts(self) -> int:
        """How many parts it has; 1 where it has none."""
        return max(sum(self.counts.values()), 1)

    @property
    def shown(self) -> State:
        """The state as pages show it."""
        return State(self.state, TONES[self.state])

    @property
    def told(self) -> str:
        """How its parts stand, in words; empty where it has none."""
        return ", ".join(f"{count:,} {state}" for state, count in self.counts.items()) if self.parts > 1 else ""


class Now(Record, frozen=True, kw_only=True):
    """What the record says now: the run that goes on (empty: none) with its steps counted, why steps failed, what is served."""

    run: str = ""
    tallies: tuple[Tally, ...] = ()
    failed: dict[str, str] = msgspec.field(default_factory=dict)
    served: frozenset[str] = frozenset()


def stands(whole: Whole, now: Now) -> tuple[Stand, ...]:
    """Every step of a project that was looked at."""
    going = _by_step(now.tallies)
    found: dict[str, Stand] = {}
    for placing in whole.steps:
        found[placing.name] = _stand(placing, going.get(placing.name, {}), now, found.values())
    return tuple(found.values())


def recorded(steps: Sequence[Step], arrows: Iterable[tuple[str, str]], now: Now) -> tuple[Stand, ...]:
    """What runs have recorded, where the project was not looked at yet."""
    after: dict[str, list[str]] = {}
    for maker, user in arrows:
        after.setdefault(user, []).append(maker)
    going = _by_step(now.tallies)
    found = []
    for step in steps:
        counts = going.get(step.name) or {RECORDED[step.status]: 1}
        state = _worst(counts)
        why = now.failed.get(step.name, step.why) if state == "failed" else _made_because(step)
        found.append(Stand(name=step.name, stage=step.stage, state=state, why=why, counts=counts, after=tuple(after.get(step.name, ()))))
    return tuple(found)


def _made_because(step: Step) -> str:
    """Why a step ran, of one that has run since: what was true of it before is not said of it as it is now."""
    if step.status != "done" or not step.why:
        return step.why
    return "made for the first time" if step.why.endswith(_NEVER) else f"made again: {step.why}"


def judged(stood: Sequence[Stand], refused: Mapping[str, str]) -> tuple[Stand, ...]:
    """The steps with the verdicts of checks: one that ran and is up to date, but whose newest verdict is a refusal, did not pass.

    `refused` has the findings of such checks in words, by name.
    """
    return tuple(
        msgspec.structs.replace(one, state=_NOT_PASSED, counts={_NOT_PASSED: 1}, why=f"{refused[one.name]}; {one.why}".removesuffix("; "))
        if one.name in refused and one.parts == 1 and one.state in ("fresh", "made", "scheduled") else one
        for one in stood
    )  # fmt: skip


def drawn(stood: Sequence[Stand], chosen: str = "") -> Graph:
    """The graph of a project, each box a link to its step."""
    query = f"?{_step(chosen)}" if chosen else ""
    nodes = [
        Node(
            id=one.name, label=one.name, sub=f"{one.parts:,} parts" if one.parts > 1 else one.stage, state=one.state, tone=TONES[one.state],
            href=f"/?{_step(one.name)}", hint=short(f"{one.told}; {one.why}" if one.told else one.why, 300),
        )
        for one in stood
    ]  # fmt: skip
    edges = [Edge(up, one.name) for one in stood for up in one.after]
    return Graph(
        name="project", title="What is made from what", nodes=nodes, edges=edges, chosen=chosen, source=f"/project/graph{query}"
    )  # fmt: skip


def counted(stood: Iterable[Stand]) -> dict[str, int]:
    """How many steps stand how, the worst first."""
    counts: dict[str, int] = {}
    for one in stood:
        counts[one.state] = counts.get(one.state, 0) + 1
    order = [_NOT_PASSED, *_ORDER, "scheduled", "served", "not served"]
    return {state: counts[state] for state in order if state in counts}


def _stand(placing: Placing, going: Mapping[str, int], now: Now, before: Collection[Stand]) -> Stand:
    planned = {ACTIONS[action]: count for action, count in placing.actions.items()}
    counts, why = planned, placing.why
    if placing.decorator == "service":
        is_served = placing.name in now.served
        counts, why = {"served" if is_served else "not served": 1}, "" if is_served else "bedplate serve answers with it"
        state = "served" if is_served else "not served"
    elif not planned and not going:
        counts, state, why = {"scheduled": 1}, "scheduled", f"every {placing.every}: due work makes it" if placing.every else why
    elif now.run and going:
        counts = {("fresh" if word == "made" else word): count for word, count in going.items()}
        if placing.units and (rest := len(placing.units) - sum(going.values())) > 0:
            counts["waiting"] = counts.get("waiting", 0) + rest
        state = _worst(counts)
        why = now.failed.get(placing.name, why) if state == "failed" else "the run that goes on is past it" if state == "fresh" else why
    elif placing.name in now.failed:
        state, why = "failed", now.failed[placing.name]
    elif now.run and (behind := _behind(placing, before)) and _worst(planned) != "fresh":
        state, why = "waiting", f"for {behind}"
    else:
        state = _worst(planned)
    return Stand(
        name=placing.name, stage=placing.stage, state=state, why=why, counts=counts, after=(*placing.after, *placing.watches),
        makes=placing.makes, each=placing.each,
    )  # fmt: skip


def _step(name: str) -> str:
    return urlencode({"step": name})


def _behind(placing: Placing, before: Iterable[Stand]) -> str:
    """The steps before it that run or wait themselves."""
    return ", ".join(one.name for one in before if one.name in placing.after and one.state in ("running", "waiting"))


def _by_step(tallies: Iterable[Tally]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for tally in tallies:
        counts = found.setdefault(tally.name, {})
        word = RECORDED[tally.status]
        counts[word] = counts.get(word, 0) + tally.count
    return found


def _worst(counts: Mapping[str, int]) -> str:
    return next((state for state in _ORDER if counts.get(state)), "unknown")
