"""A declared workload on a target's machines, answered by the search: time, memory, money and energy, and whether it fits.

Choices: all machines of the target work on it (a service takes as many as its rate needs); money is the target's own price where it has
one, else the list price of the machines on demand. Where it does not fit, twice as many are tried, up to `MOST_TIMES`.
Limits: one kind of machine for each target; of a service, energy and money are of a month.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bedplate.core.errors import BedplateError, NotFound, UserError
from bedplate.core.records import Forecast
from bedplate.core.workload import Machines, Task, Workload
from bedplate.planner.asking.questions import Batch, Finetune, Limits, Serve, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.cases import Unsupported
from bedplate.planner.facts.estimate import Estimate
from bedplate.planner.facts.knowledge import Knowledge
from bedplate.planner.facts.systems import Systems
from bedplate.planner.forecasts.expected import Expected
from bedplate.planner.forecasts.history import cost

from .size import size

MOST_TIMES: Final = 256
"""How many times the target's machines are tried where they do not do."""

Asked = Train | Finetune | Serve | Batch
Quantity = Literal["wall_s", "accelerator_bytes", "energy_joules", "cost_usd"]
_JOULES_KWH: Final = 3.6e6


def expected(workload: Workload, machines: Machines, knowledge: Knowledge, usd_per_hour: float = 0.0) -> Expected:
    """What a workload takes on these machines, which together cost `usd_per_hour` (0: not known). A user's mistake is told, not raised."""
    try:
        question = asked(workload, machines.name, machines.count * _held(machines.name, knowledge.systems))
        sized = size(question, knowledge)
    except NotFound as error:
        return Expected(machines=str(machines), problem=_told(error))
    except Unsupported as error:
        return Expected(machines=str(machines), problem=str(error))
    except UserError as error:
        needs = _needs(workload, machines, knowledge)
        return Expected(machines=str(machines), fits=False if needs else None, problem=_told(error), needs=needs)
    if sized.best is None:
        needs = _needs(workload, machines, knowledge)
        return Expected(machines=str(machines), fits=False, problem="; ".join(sized.conflict), needs=needs)
    forecasts = _forecasts(question, sized.best, usd_per_hour)
    return Expected(machines=str(machines), fits=True, design=sized.best.name, forecasts=forecasts)


def asked(workload: Workload, name: str, accelerators: int) -> Asked:
    """The workload as a question to the search, on so many of an accelerator or of a node's. Raises UserError where one is unreadable."""
    most = workload.task == "serve"
    limits = Limits(on=(name,), gpus=None if most else accelerators, max_gpus=accelerators if most else None, terms=("on-demand",))
    question: type[Asked] = _QUESTIONS[workload.task]
    fields = question.__struct_fields__
    given: dict[str, Any] = {field: number for field in _NUMBERS if field in fields and (number := workload.number(field)) is not None}
    given |= {field: value for field in _PLAIN if field in fields and (value := getattr(workload, field))}
    given["model"] = workload.model
    return question(limits=limits, **given)


_QUESTIONS: Final[dict[Task, type[Asked]]] = {"train": Train, "finetune": Finetune, "serve": Serve, "batch": Batch}
_NUMBERS: Final = ("tokens", "batch_tokens", "isl", "osl", "rate", "requests")
_PLAIN: Final = ("model", "seq_len", "method", "precision")


def _held(name: str, systems: Systems) -> int:
    """Accelerators of one machine of that name. Raises NotFound, with the nearest accelerators."""
    try:
        systems.accelerator(name)
    except NotFound as error:
        try:
            return systems.node(name).n_accel
        except NotFound:
            raise error from None
    return 1


def _needs(workload: Workload, machines: Machines, knowledge: Knowledge) -> str:
    """The least power of two times the machines on which it is possible; empty where none is, up to `MOST_TIMES`."""
    times = 2
    while times <= MOST_TIMES:
        more = msgspec.structs.replace(machines, count=machines.count * times)
        try:
            accelerators = more.count * _held(more.name, knowledge.systems)
            if size(asked(workload, more.name, accelerators), knowledge).best is not None:
                return str(more)
        except (UserError, Unsupported):
            pass
        times *= 2
    return ""


def _told(error: BedplateError) -> str:
    return f"{error.what} ({error.why})" if error.why else error.what


def _forecasts(question: Asked, design: Design, usd_per_hour: float) -> tuple[Forecast, ...]:
    """The design's quantities as forecasts; the time comes first. A service has none: it runs until it is stopped."""
    found = design.quantities
    wall = _forecast("wall_s", found["time_s"])
    kept = [] if isinstance(question, Serve) else [wall]
    if "peak_mem_bytes" in found:
        kept.append(_forecast("accelerator_bytes", found["peak_mem_bytes"]))
    kept.append(_forecast("energy_joules", found["energy_kwh"].times(_JOULES_KWH)))
    if usd_per_hour > 0:
        kept.append(cost(wall, usd_per_hour))
    elif "cost_usd" in found:
        kept.append(_forecast("cost_usd", found["cost_usd"]))
    return tuple(kept)


def _forecast(quantity: Quantity, estimate: Estimate) -> Forecast:
    return Forecast(quantity=quantity, middle=estimate.value, low=estimate.low, high=estimate.high, basis="planner")
