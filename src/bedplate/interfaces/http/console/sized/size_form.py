"""The questions of `size` as forms: fields made from the question records, what was typed read with its units, mistakes beside the field.

Choices: a field is called what the answer calls it, and reads what the command line reads ('2T', '30d', '40/s', '2MW', '60%'). A model is
one by name: a path would have the server read a file of its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, get_args

import msgspec

from bedplate.core import units
from bedplate.core.errors import BedplateError, UserError
from bedplate.core.records import Record
from bedplate.planner.asking.questions import Batch, Cooling, Cost, Finetune, Limits, Question, Serve, Site, Term, Train
from bedplate.planner.showing.words import NAMES

LONGEST: Final = 200
LONGEST_LOAD: Final = 100_000
_OPTION: Final = re.compile(r"--([a-z-]+)")


class Field(Record, frozen=True, kw_only=True):
    """One field: its name in the address, its words, an example, what it is for; `list` is the list of known names that it draws from."""

    name: str
    label: str
    example: str = ""
    help: str = ""
    list: str = ""
    shape: str = "text"
    choices: tuple[str, ...] = ()
    needed: bool = False
    value: str = ""
    wrong: str = ""


class Form(Record, frozen=True, kw_only=True):
    """A question as a form: fields that always show, and those for who knows more."""

    kind: str
    title: str
    first: tuple[Field, ...]
    more: tuple[Field, ...]

    @property
    def opens(self) -> bool:
        """Whether something was said, or is wrong, in the fields that are folded away."""
        return any(one.value or one.wrong for one in self.more)


class _Kind(Record, frozen=True, kw_only=True):
    """What makes a form: the record, its words, its first fields, the limits that it does not heed."""

    record: type[Any]
    title: str
    first: tuple[str, ...]
    without: frozenset[str] = frozenset()


KINDS: Final[Mapping[str, _Kind]] = {
    "train": _Kind(record=Train, title="Train", first=("model", "tokens", "on", "gpus", "by_s", "budget_usd")),
    "finetune": _Kind(record=Finetune, title="Fine-tune", first=("model", "method", "tokens", "on", "by_s", "budget_usd")),
    "serve": _Kind(
        record=Serve, title="Serve", first=("model", "rate", "isl", "osl", "ttft_s", "tpot_s", "on", "budget_usd"),
        without=frozenset({"by_s"}),
    ),
    "batch": _Kind(record=Batch, title="Batch", first=("model", "requests", "isl", "osl", "on", "by_s", "budget_usd")),
    "site": _Kind(
        record=Site, title="Site", first=("node", "nodes", "cooling", "region", "max_power_w", "by_s", "budget_usd"),
        without=frozenset({"on", "gpus", "max_gpus", "terms"}),
    ),
    "cost": _Kind(
        record=Cost, title="Cost", first=("node", "count", "months", "utilisation", "region", "budget_usd"),
        without=frozenset({"on", "gpus", "max_gpus", "by_s", "max_power_w", "export"}),
    ),
}  # fmt: skip
"""What may be asked, in the order of the tabs."""
EXAMPLES: Final = (
    ("Pretrain Llama 3.1 8B on 2T tokens within 30 days", "train", {"model": "Llama-3.1-8B", "tokens": "2T", "by_s": "30d"}),
    ("Serve Llama 3.1 70B to 10 requests a second", "serve",
     {"model": "Llama-3.1-70B", "rate": "10/s", "isl": "1000", "osl": "300", "ttft_s": "500ms", "tpot_s": "30ms"}),
    ("Tune Llama 3.1 8B with adapters", "finetune", {"model": "Llama-3.1-8B", "tokens": "50M"}),
    ("House 32 DGX H100", "site", {"node": "DGX-H100", "nodes": "32"}),
    ("What 4 rented nodes cost over three years", "cost", {"node": "p5.48xlarge", "count": "4"}),
)  # fmt: skip
"""Words, kind and fields of questions to begin with."""
_WORDS: Final = {
    "on": ("", "accelerators"), "rate": ("arriving", ""), "model": ("", "models"), "node": ("", "nodes"), "precision": ("", "precisions"),
    "providers": ("providers", "providers"), "fabric": ("switch of the fabric", "switches"), "draft": ("", "models"),
}  # fmt: skip
_EXAMPLES: Final = {
    "tokens": "2T", "items": "1.28M", "batch_items": "4096", "item_bytes": "110 kB", "seq_len": "4096", "batch_tokens": "4M",
    "rate": "40/s", "quiet_rate": "1/s", "isl": "1000", "osl": "300", "ttft_s": "500ms", "tpot_s": "30ms", "latency_s": "8s",
    "requests": "1M", "prefix_hit": "30%", "acceptance": "70%", "utilisation": "80%", "by_s": "30d", "budget_usd": "2M USD",
    "max_power_w": "2MW", "region": "DE, EU or us-east", "residency": "DE, FR", "on": "H100, B200", "providers": "aws, gcp",
    "resolution": "1024x1024", "load": "4\n4\n8\n8", "precision": "bf16", "gpus": "64", "max_gpus": "512",
}  # fmt: skip
_HELP: Final = {
    "on": "accelerators or nodes, with commas between; empty: any", "load": "nodes needed hour by hour, a number a line",
    "residency": "where data may lie, with commas between", "providers": "with commas between; empty: any",
    "isl": "tokens on average", "osl": "tokens on average", "ttft_s": "for 99 of 100", "tpot_s": "for 99 of 100",
    "latency_s": "for 99 of 100",
    "draft": "a small model, or mtp", "retrofit": "weigh a hall that stands against a new one",
    "rails": "one leaf for each of a node's ports",
    "tokens": "all epochs together",
}  # fmt: skip


def _whole(text: str) -> int:
    value = units.count(text)
    if not math.isfinite(value) or value != int(value):
        raise UserError(f"'{text}' is no whole number", next="write it as 64")
    return int(value)


def _names(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


def _load(text: str) -> tuple[float, ...]:
    return tuple(units.count(line.strip()) for line in text.split("\n") if line.strip())


def _by_name(text: str) -> str:
    if text.endswith(".json") or "/" in text or "\\" in text:
        raise UserError(
            f"'{text}' is no name of a model", next="a config.json is sized by the command line: bedplate size train --model FILE"
        )
    return text


_READS: Final[Mapping[str, Callable[[str], Any]]] = {
    "model": _by_name, "draft": _by_name, "item_bytes": units.byte_count, "rate": units.per_second, "quiet_rate": units.per_second,
    "ttft_s": units.seconds, "tpot_s": units.seconds, "latency_s": units.seconds, "by_s": units.seconds, "max_power_w": units.watts,
    "budget_usd": units.dollars, "prefix_hit": units.share, "acceptance": units.share, "utilisation": units.share,
    "resolution": units.pixels,
    "on": _names, "residency": _names, "providers": _names, "terms": _names, "load": _load,
}  # fmt: skip
_LITERALS: Final = {"cooling": get_args(Cooling), "method": ("full", "lora", "qlora"), "terms": get_args(Term)}


def form(kind: str, typed: Mapping[str, Sequence[str]], wrong: Mapping[str, str]) -> Form:
    """The form of a kind as it was filled in."""
    made = {name: _field(name, field, typed, wrong.get(name, "")) for name, field in _fields(kind).items()}
    first = KINDS[kind].first
    rest = tuple(one for name, one in made.items() if name not in first)
    return Form(kind=kind, title=KINDS[kind].title, first=tuple(made[name] for name in first), more=rest)


def read(kind: str, typed: Mapping[str, Sequence[str]]) -> tuple[Question | None, dict[str, str]]:
    """The question that was typed; None and what is wrong with which field, where something is."""
    record, said, wrong = KINDS[kind].record, dict[str, Any](), dict[str, str]()
    own = {field.name for field in msgspec.structs.fields(record)}
    for name, field in _fields(kind).items():
        text = _typed(name, typed)
        if not text:
            if field.required:
                wrong[name] = "this is needed"
            continue
        try:
            if len(text) > (LONGEST_LOAD if name == "load" else LONGEST):
                raise UserError("this is too long")
            said[name] = _reader(name, field)(text)
        except UserError as error:
            wrong[name] = error.line
    if wrong:
        return None, wrong
    try:
        limits = msgspec.convert({name: value for name, value in said.items() if name not in own}, Limits)
        return msgspec.convert(
            {**{name: value for name, value in said.items() if name in own}, "limits": limits, "type": kind}, Question
        ), {}
    except msgspec.ValidationError as error:
        where = str(error).rpartition("`$.")[2].rstrip("`").partition("[")[0]
        return None, {where if where in said else "": str(error)}


def beside(error: BedplateError, kind: str, typed: Mapping[str, Sequence[str]]) -> str:
    """The field that a mistake of the whole question is about: the one whose option or value it names; '' for none."""
    options = {name.removesuffix("_s").removesuffix("_usd").removesuffix("_w").replace("_", "-"): name for name in _fields(kind)}
    options |= {"provider": "providers", "term": "terms", "storage-gbs": "storage_gbs"}
    said = f"{error.what} {error.why}"
    for name in _fields(kind):
        text = _typed(name, typed)
        if text and any(f"'{one}'" in said for one in (text, *_names(text))):
            return name
    for option in _OPTION.findall(f"{error.what} {error.next}"):
        name = options.get(option, "")
        if name in _fields(kind) and (_typed(name, typed) or option in error.what):
            return name
    return ""


def _fields(kind: str) -> dict[str, msgspec.structs.FieldInfo]:
    made = KINDS[kind]
    own = {one.name: one for one in msgspec.structs.fields(made.record) if one.name != "limits"}
    return own | {one.name: one for one in msgspec.structs.fields(Limits) if one.name not in made.without}


def _typed(name: str, typed: Mapping[str, Sequence[str]]) -> str:
    given = [one.strip() for one in typed.get(name, ()) if one.strip()]
    return ", ".join(given) if name == "terms" else given[-1] if given else ""


def _reader(name: str, field: msgspec.structs.FieldInfo) -> Callable[[str], Any]:
    if name in _READS:
        return _READS[name]
    kinds = set(get_args(field.type)) or {field.type}
    if bool in kinds:
        return lambda text: text == "yes"
    return _whole if int in kinds else units.count if float in kinds else str


def _field(name: str, field: msgspec.structs.FieldInfo, typed: Mapping[str, Sequence[str]], wrong: str) -> Field:
    label, known = _WORDS.get(name, ("", ""))
    is_bool = field.type is bool
    choices = _LITERALS.get(name, ("yes", "no") if is_bool else ())
    shape = "many" if name == "terms" else "lines" if name == "load" else "choice" if choices else "text"
    return Field(
        name=name, label=label or NAMES.get(name, name.replace("_", " ")), help=_HELP.get(name, ""), list=known,
        example=_EXAMPLES.get(name) or _default(field), shape=shape, choices=choices, needed=field.required,
        value=_typed(name, typed), wrong=wrong,
    )  # fmt: skip


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required or field.default in (None, "", (), msgspec.NODEFAULT):
        return ""
    if isinstance(field.default, bool):
        return "yes" if field.default else "no"
    return f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
