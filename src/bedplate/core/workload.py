"""Workload: what a function does to a language model, so that the planner can say what it takes before it first ran.

`train(workload=Workload(model="llama-3.1-8b", tokens="50B"))` trains; with `method="lora"` it fine-tunes; `isl`, `osl` and `rate` are a
service's load, `isl`, `osl` and `requests` a batch's. Machines are never named here: they are the target's (`machines = "8 x h100"`).

Choices: quantities stay as they were written, so that a mistake is told by `lint` with its line and not as the file is imported.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from .errors import UserError
from .records import Record
from .units import count, per_second

Method = Literal["", "full", "lora", "qlora"]
Task = Literal["train", "finetune", "serve", "batch"]
METHODS: Final = ("full", "lora", "qlora")
TASKS: Final[dict[str, tuple[Task, ...]]] = {"train": ("train", "finetune"), "service": ("serve",), "step": ("train", "finetune", "batch")}
"""Which decorators take a workload, and what it may be there."""
_MACHINES = re.compile(r"\s*(\d+)\s*x\s*(\S+)\s*\Z")


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what is done with it. Counts are numbers or text (`"2T"`), a rate is requests a second or text (`"40/s"`).

    `model`: a name that `bedplate size list models` has, or the path of a config.json beside the project file. Training takes `tokens`,
    `seq_len`, `batch_tokens` (of the global batch), fine-tuning its `method` too; serving takes `isl` and `osl` (prompt and answer tokens
    of a request) with `rate`, a batch with `requests`. `precision` is the format of the matrix products.
    """

    model: str
    tokens: float | str | None = None
    seq_len: int | None = None
    batch_tokens: float | str | None = None
    method: Method = ""
    isl: float | str | None = None
    osl: float | str | None = None
    rate: float | str | None = None
    requests: float | str | None = None
    precision: str = ""

    @property
    def task(self) -> Task:
        """What is done with the model, by the fields that are given."""
        if self.rate is not None:
            return "serve"
        if self.requests is not None:
            return "batch"
        return "finetune" if self.method else "train"

    def number(self, field: str) -> float | None:
        """A quantity in base units; None where it is not given. Raises UserError for what cannot be read."""
        given = getattr(self, field)
        if isinstance(given, str):
            return (per_second if field == "rate" else count)(given)
        return None if given is None else float(given)


class Machines(Record, frozen=True, kw_only=True):
    """What a target has: so many of an accelerator or node of the catalogue; a count of 0 is none."""

    count: int
    name: str

    def __str__(self) -> str:
        return f"{self.count} x {self.name}"


def machines(text: str) -> Machines:
    """Read `"8 x h100"`, `"2 x dgx-h100"` or `"none"`. Raises UserError."""
    if text.strip() == "none":
        return Machines(count=0, name="none")
    match = _MACHINES.match(text)
    if match is None or not int(match[1]):
        raise UserError(f"'{text}' is not a number of machines", why="a count, x and an accelerator or node", next="write '8 x h100'")
    return Machines(count=int(match[1]), name=match[2])


def mistakes(workload: object, decorator: str) -> list[tuple[str, str]]:
    """What is wrong with a `workload=`, each with what to do."""
    if not isinstance(workload, Workload):
        return [(f"workload={workload!r} is no Workload", 'write workload=Workload(model="llama-3.1-8b", tokens="50B")')]
    found = _unreadable(workload)
    if not isinstance(workload.model, str) or not workload.model:
        found.append((f"workload: model={workload.model!r} is no model's name", "bedplate size list models"))
    if workload.method not in ("", *METHODS):
        found.append((f"workload: method='{workload.method}' is not known", f"one of {', '.join(METHODS)}"))
    allowed = TASKS[decorator]
    if workload.task not in allowed:
        found.append((f"workload: a {decorator} cannot {_MEANS[workload.task]}", f"a {decorator} takes {_takes(allowed)}"))
        return found
    needed, known = _FIELDS[workload.task]
    found += [(f"workload: {name}= is missing", f"{workload.task} takes {', '.join(known)}") for name in needed if _missing(workload, name)]
    odd = [name for name in _QUANTITIES if name not in known and not _missing(workload, name)]
    return found + [(f"workload: {name}= has no meaning beside the others", f"{workload.task} takes {', '.join(known)}") for name in odd]


_QUANTITIES: Final = ("tokens", "seq_len", "batch_tokens", "isl", "osl", "rate", "requests")
_TRAINS: Final = (("tokens",), ("tokens", "seq_len", "batch_tokens"))
_FIELDS: Final[dict[Task, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "train": _TRAINS,
    "finetune": _TRAINS,
    "serve": (("isl", "osl", "rate"), ("isl", "osl", "rate")),
    "batch": (("isl", "osl", "requests"), ("isl", "osl", "requests")),
}
"""Task -> (fields that it needs, fields that it takes)."""
_MEANS: Final[dict[Task, str]] = {
    "train": "train (tokens=)", "finetune": "fine-tune (method=)", "serve": "serve a rate (rate=)", "batch": "answer requests (requests=)",
}  # fmt: skip


def _takes(tasks: tuple[Task, ...]) -> str:
    return " or ".join(dict.fromkeys(", ".join(f"{name}=" for name in _FIELDS[task][0]) for task in tasks))


def _missing(workload: Workload, name: str) -> bool:
    return getattr(workload, name) is None


def _unreadable(workload: Workload) -> list[tuple[str, str]]:
    """Quantities that are no numbers, or not more than nothing."""
    found = []
    for name in _QUANTITIES:
        try:
            value = workload.number(name)
        except UserError as error:
            found.append((f"workload: {name}: {error.what}", error.next))
        except (TypeError, ValueError):
            found.append((f"workload: {name}={getattr(workload, name)!r} is not a number", f"write {name}={_EXAMPLES.get(name, '2000')}"))
        else:
            if value is not None and not value > 0:
                found.append((f"workload: {name}={getattr(workload, name)!r} is not more than nothing", "leave it out, or mend it"))
    return found


_EXAMPLES: Final = {"tokens": '"2T"', "rate": '"40/s"'}
