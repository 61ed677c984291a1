"""The batchers of a server: one for each model version whose requests are answered together, by what was measured when it was loaded.

A version that is quick for one row and hardly quicker for many has none: it is called where the request is. One that takes long is
asked in its crew. A version that is replaced keeps its batcher until its last answer; then its processes end with it.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bedplate.core.errors import WorldError
from bedplate.core.model import Model
from bedplate.planner.batching.pace import Pace
from bedplate.planner.batching.records import Rules

from .away import Away
from .batcher import Batcher, Engine, OnLoop
from .crew import Crew
from .deployment import LoadedModel
from .runtime import MANY, REMOTE, Choice, Equipped

ON_LOOP: Final = Rules(rows=256, seconds=0.005)
"""On the loop a batch holds up everybody else."""
_LEAST_S, _MOST_S, _TIMES = 10.0, 120.0, 20.0
AWAY: Final = Rules(rows=1024, together=8)
"""So many questions at once go to a server that has a model; what comes meanwhile goes together."""
IN_CREW: Final = Rules(rows=256, seconds=0.1)


class Batchers:
    """Those of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, timer: Callable[[], float]) -> None:
        self._loop = loop
        self._timer = timer
        self._kept: dict[str, tuple[LoadedModel, Batcher | None]] = {}

    def of(self, loaded: LoadedModel) -> Batcher | None:
        """The batcher of a version that serves; None where it is called at once."""
        kept = self._kept.get(loaded.name)
        if kept is not None and kept[0] is loaded:
            return kept[1]
        made = self._made(loaded)
        self._kept[loaded.name] = (loaded, made)
        return made

    def _made(self, loaded: LoadedModel) -> Batcher | None:
        predictor, choice = loaded.model.predictor, loaded.choice
        if choice is None or not isinstance(predictor, Equipped):
            return None
        if predictor.crew is not None:
            predictor.crew.attach(self._loop)
            engine: Engine = predictor.crew
            rules = msgspec.structs.replace(IN_CREW, together=predictor.crew.size)
        elif choice.runtime == REMOTE:
            engine, rules = Away(predictor.rows, predictor.wait_s, AWAY.together, self._loop, self._timer), AWAY
        elif choice.gathers:
            engine, rules = OnLoop(predictor.rows, self._timer), ON_LOOP
        else:
            return None
        batcher = Batcher(engine, rules, loop=self._loop, timer=self._timer, pace=pace(choice))
        batcher.of = loaded
        return batcher


def pace(choice: Choice) -> Pace:
    """What a batch takes, as it was measured when the model was loaded."""
    one, many = (choice.best.one_us or 0.0) / 1e6, (choice.best.many_us or 0.0) / 1e6
    row = max(0.0, (many - one) / (MANY - 1))
    return Pace(max(0.0, one - row), row)


def patience(choice: Choice) -> float:
    """The seconds after which a batch is taken to hang: many times what it was measured to take, never less than a busy machine needs."""
    expected = max(pace(choice).seconds(1), IN_CREW.seconds)
    return min(max(_LEAST_S, _TIMES * expected), _MOST_S)


def manned(model: Model, name: str, command: Callable[[str], Sequence[str]], size: int, timer: Callable[[], float]) -> Model:
    """The model with a crew, where it is too slow for the loop; `command` starts a process, given the runtime to ask it by.

    Where no process comes up it is asked on threads of the server itself, and its choice says so.
    """
    predictor = model.predictor
    if not isinstance(predictor, Equipped) or predictor.choice.place != "workers" or not size:
        return model
    told = command(predictor.choice.runtime)
    patience_s = patience(predictor.choice)
    crew = Crew(
        name, lambda socket, memory: [*told, "--socket", str(socket), "--memory", str(memory)], size, timer=timer, patience_s=patience_s
    )
    try:
        crew.open()
    except (WorldError, OSError) as error:
        predictor.choice = msgspec.structs.replace(
            predictor.choice, place="loop", note=f"no process of its own: {error}".replace("\n", " ")
        )
        return model
    predictor.crew = crew
    weakref.finalize(predictor, crew.put_away)
    return model
