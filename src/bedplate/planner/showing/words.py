"""What a sizing is called in words: quantities and their units, parts of a whole, the question that was asked.

Terminal, page and report say the same thing with the same word, because all of them look it up here.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bedplate.core.units import show_bytes, show_count, show_days, show_joules, show_number, show_seconds, show_usd, show_watts
from bedplate.planner.asking.questions import Batch, Cost, Finetune, Limits, Question, Serve, Site, Train
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.estimate import Estimate

Show = Callable[[float], str]


def plain(value: float) -> str:
    """A number without a unit: three digits, or all of them above a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _energy(value: float) -> str:
    return f"{value / 1e6:.3g} GWh" if value >= 1e6 else f"{value / 1e3:.3g} MWh" if value >= 1e3 else f"{plain(value)} kWh"


def _carbon(value: float) -> str:
    return f"{plain(value / 1000)} t CO2e" if value >= 999.5 else f"{value:.3g} kg CO2e"


def _per_second(gbs: float) -> str:
    return f"{plain(gbs)} GB/s" if gbs >= 1 else f"{gbs * 1e3:.3g} MB/s"


def _unit(unit: str) -> Show:
    return lambda value: f"{plain(value)} {unit}"


QUANTITIES: dict[str, tuple[str, Show]] = {
    "time_s": ("time", show_days),
    "cost_usd": ("cost", show_usd),
    "capex_usd": ("to be invested", show_usd),
    "commitment_usd": ("to be committed", show_usd),
    "usd_per_month": ("a month", show_usd),
    "usd_per_useful_accel_hour": ("an accelerator-hour of use", lambda v: f"${v:.2f}"),
    "usd_per_million_tokens": ("a million tokens out", lambda v: f"${v:.3g}"),
    "accelerators": ("accelerators", lambda v: f"{v:,.0f}"),
    "power_w": ("power at the meter, mean", show_watts),
    "power_max_w": ("power at the meter, most", show_watts),
    "energy_kwh": ("energy at the meter", _energy),
    "carbon_kg": ("carbon", _carbon),
    "step_time_s": ("step", show_seconds),
    "items_per_s": ("items a second", show_count),
    "latency_s": ("latency, mean", show_seconds),
    "latency_p99_s": ("latency, 99 %", show_seconds),
    "used": ("share of the time at work", _percent),
    "tokens_per_s": ("tokens a second", show_count),
    "output_tokens_per_s": ("tokens a second out", show_count),
    "mfu": ("share of the peak (MFU)", _percent),
    "goodput": ("useful share of the time", _percent),
    "peak_mem_bytes": ("memory of the fullest", show_bytes),
    "mem_bytes": ("memory of one", show_bytes),
    "ttft_s": ("first token, mean", show_seconds),
    "ttft_p99_s": ("first token, 99 %", show_seconds),
    "cold_start_s": ("until one more instance answers, on a machine that runs", show_seconds),
    "tpot_s": ("a token, mean", show_seconds),
    "tpot_p99_s": ("a token, 99 %", show_seconds),
    "usd_per_thousand_items": ("a thousand items", lambda v: show_usd(v) if v >= 1 else f"${v:.3g}"),
    "energy_per_item_j": ("energy of an item", show_joules),
    "energy_per_token_j": ("energy a token out", lambda v: f"{plain(v)} J"),
    "kw_per_rack": ("power of a rack", _unit("kW")),
    "it_w": ("power of the machines, most", show_watts),
    "it_mean_w": ("power of the machines, mean", show_watts),
    "pue": ("power at the meter over the machines' (PUE)", plain),
    "energy_mwh_year": ("energy a year", _unit("MWh")),
    "carbon_t_year": ("carbon a year", _unit("t CO2e")),
    "water_m3_year": ("water a year", _unit("m3")),
    "storage_read_gbs": ("storage, reading", _per_second),
    "storage_write_gbs": ("storage, writing", _per_second),
    "data_bytes": ("training data in storage", show_bytes),
    "checkpoint_bytes": ("a checkpoint", show_bytes),
    "checkpoint_every_s": ("between checkpoints", show_seconds),
    "storage_tb": ("storage, capacity", _unit("TB")),
    "storage_usd": ("storage, price", show_usd),
    "decode_cores": ("processor cores that decode in time", plain),
    "input_stall": ("time lost waiting for input", _percent),
    "checkpoint_stall": ("time lost to checkpoints", _percent),
    "battery_kwh": ("batteries", _unit("kWh")),
    "fabric_w": ("power of the network", show_watts),
    "fabric_usd": ("price of the network", show_usd),
}
"""Quantities of a design in the order they are shown: what they are called and how they are written. Others follow by their own name."""

UNITS: dict[str, Show] = {"s": show_seconds, "bytes": show_bytes, "USD": show_usd, "W": show_watts, "count": plain}

PARTS = {
    "step": {
        "products": "matrix products", "stream": "memory-bound parts", "recompute": "computed again", "loss": "output layer and loss",
        "host": "waiting for the host and its input", "tensor": "tensor-parallel communication that shows",
        "context": "context-parallel communication that shows", "expert": "expert communication that shows",
        "data": "data-parallel communication that shows", "pipeline": "pipeline transfers that show", "bubble": "pipeline bubble",
        "jitter": "waiting for the slowest",
        "storage": "waiting for the storage", "decoding": "waiting for processors to decode",
    },
    "batch": {
        "dense": "matrix products", "elementwise": "memory-bound parts", "exchange": "communication between accelerators",
        "launch": "waiting for the host", "text": "text encoders", "decode": "decoding to pixels",
    },
    "iteration": {
        "weights": "reading weights", "kv": "reading caches", "compute": "matrix products beyond that",
        "communication": "communication between accelerators", "overhead": "engine and launches",
        "drafting": "drafts of the tokens to verify", "prompts": "prompts of other requests",
    },
    "money": {"early sale": "lost by selling before the end of its life"},
    "memory": {
        "optimiser": "optimiser states", "caches": "KV caches", "buffers": "communication buffers", "reserve": "allocator's reserve",
    },
}  # fmt: skip
"""Breakdown -> part -> what it is called where its own name says too little."""

OBJECTIVES = {
    "cost_usd": "the least money", "time_s": "the least time", "knee": "the least time x money^2", "power_w": "the least power",
    "energy_kwh": "the least energy",
}  # fmt: skip


def unit_of(unit: str) -> Show:
    """How values of a breakdown's unit are written."""
    return UNITS.get(unit) or _unit(unit)


def written(name: str, value: float) -> str:
    """A quantity's value with its unit."""
    return QUANTITIES[name][1](value) if name in QUANTITIES else plain(value)


def ranged(name: str, estimate: Estimate) -> str:
    """The 80 % range alone: `18.1 days - 23.4 days`; nothing where it has no width."""
    return "" if estimate.low == estimate.high else f"{written(name, estimate.low)} - {written(name, estimate.high)}"


def shown(name: str, estimate: Estimate) -> str:
    """A number with its range: `20.6 days (18.1 days - 23.4 days)`."""
    inside = ranged(name, estimate)
    return written(name, estimate.value) + (f" ({inside})" if inside else "")


def label(name: str, design: Design | None = None) -> str:
    """What a quantity is called for people; the time of a site is when it is ready, the money of a service is of all its months."""
    if name == "time_s" and design is not None and "way" in design.layout:
        return "ready after"
    if name == "cost_usd" and design is not None and "usd_per_month" in design.quantities:
        return "cost of all months"
    return QUANTITIES[name][0] if name in QUANTITIES else name.replace("_", " ")


def part_label(breakdown: str, part: str) -> str:
    """What a part of a whole is called for people."""
    return PARTS.get(breakdown, {}).get(part, part)


def ordered(design: Design) -> list[str]:
    """A design's quantities in the order they are shown."""
    return [n for n in QUANTITIES if n in design.quantities] + [n for n in design.quantities if n not in QUANTITIES]


def news(name: str, design: Design) -> bool:
    """Whether a design says that quantity, and the question did not."""
    return name in design.quantities and design.quantities[name].basis != "as asked"


def offer(design: Design) -> str:
    """Who sells it, what, where and on which term; and that no row states the price, or that there is none."""
    unsold = not design.provider and "cost_usd" not in design.quantities
    said = " ".join(word for word in (design.provider, design.node, design.region, "" if unsold else design.term) if word)
    return f"{said}, price {design.layout['price']}" if "price" in design.layout else said


def laid_out(design: Design) -> list[tuple[str, str]]:
    """The degrees and counts by their names: [("tp", "4"), ("dp", "32")]."""
    return [(name.replace("_", " "), _entry(value)) for name, value in design.layout.items()]


def _entry(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return show_number(value) if isinstance(value, int | float) else str(value)


def layout(design: Design) -> str:
    """The same on one line: `tp 4, pp 4, dp 32`."""
    return ", ".join(f"{name} {value}" for name, value in laid_out(design))


def target(found: Sizing) -> str:
    """The quantity that sensitivities and bars are about: the objective where it is one, else money or time."""
    names = found.best.quantities if found.best else {}
    return next((name for name in (found.objective, "cost_usd", "time_s", "power_w") if name in names), found.objective)


def title(question: Question) -> str:
    """The question in a few words."""
    match question:
        case Train(items=float(items)):
            return f"Train {question.model} on {show_count(items)} images, {question.epochs:g} times"
        case Train():
            return f"Train {question.model} on {show_count(question.tokens)} tokens"
        case Finetune():
            return f"Tune {question.model} on {show_count(question.tokens)} tokens ({question.method})"
        case Batch(osl=0.0):
            return f"Run {question.model} for {show_count(question.requests)} items"
        case Serve():
            return f"Serve {question.model} to {question.rate:g} requests a second"
        case Batch():
            return f"Answer {show_count(question.requests)} requests with {question.model}"
        case Site():
            return f"House {question.nodes} x {question.node}"
        case Cost():
            return f"Have {question.count} x {question.node} for {question.months:g} months"


_FIELDS: dict[str, Show] = {
    "items": show_count, "batch_items": show_count, "item_bytes": show_bytes, "storage_gbs": _unit("GB/s"),
    "tokens": show_count, "seq_len": lambda v: f"{v:,.0f} tokens", "batch_tokens": show_count, "rate": lambda v: f"{v:g} requests a second",
    "requests": show_count, "ttft_s": show_seconds, "tpot_s": show_seconds, "prefix_hit": _percent, "utilisation": _percent,
    "acceptance": _percent, "length_cv": lambda v: f"by {v:.0%} of their means",
    "latency_s": show_seconds,
    "isl": lambda v: f"{v:g} tokens", "osl": lambda v: f"{v:g} tokens", "by_s": show_days, "budget_usd": show_usd,
    "max_power_w": show_watts,
}  # fmt: skip
NAMES = {
    "batch_items": "global batch (images)", "item_bytes": "an image in storage", "storage_gbs": "storage reads",
    "seq_len": "sequence", "batch_tokens": "global batch (tokens)", "isl": "prompt", "osl": "answer",
    "ttft_s": "first token within", "latency_s": "an answer within",
    "tpot_s": "a token within", "prefix_hit": "prompts found in the cache",
    "draft": "tokens drafted by", "acceptance": "drafts accepted", "draft_tokens": "drafted a step", "length_cv": "lengths scatter",
    "on": "machines", "gpus": "accelerators, exactly",
    "max_gpus": "accelerators, at most", "by_s": "done within", "budget_usd": "money, at most", "max_power_w": "power, at most",
    "residency": "data may lie in", "export": "export class, at most", "terms": "ways of paying", "hall_kw": "hall, kW",
    "rack_kw": "rack, kW", "egress_tb_month": "data out a month, TB", "storage_tb": "storage, TB",
    "storage_read_gbs": "storage reads, GB/s",
    "checkpoint_tb": "a checkpoint, TB", "quiet_rate": "arriving at the quietest", "retrofit": "into a hall that stands",
}  # fmt: skip
"""Field of a question or its limits -> what it is called where its own name says too little."""


GOALS = ("ttft_s", "tpot_s", "latency_s")
"""Fields of a question that are limits."""


def workload(question: Question) -> list[tuple[str, str]]:
    """What was asked, its limits apart: (name, value)."""
    drafts = () if getattr(question, "draft", "") else ("acceptance", "draft_tokens")
    return _said(question, skip=("limits", *GOALS, *drafts))


def goals(question: Question) -> list[tuple[str, str]]:
    """The limits that were set: (name, value)."""
    kept = [(name, value) for name, value in _said(question) if name in {NAMES[goal] for goal in GOALS}]
    return kept + _said(question.limits)


def _pixels(sides: tuple[int, int]) -> str:
    return f"{sides[0]} x {sides[1]} pixels"


def _said(record: Question | Limits, skip: tuple[str, ...] = ("limits",)) -> list[tuple[str, str]]:
    said = []
    by_items = (isinstance(record, Serve | Batch) and not record.osl) or (isinstance(record, Train) and record.items is not None)
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        if field.name in skip or value in (None, "", ()) or (by_items and value == field.default):
            continue
        if field.name == "resolution":
            text = _pixels(value)
        elif isinstance(value, tuple):
            numbers = isinstance(value[0], float)
            text = f"{len(value)} values, {min(value):g} to {max(value):g}" if numbers else ", ".join(value)
        elif isinstance(value, bool):
            text = "yes" if value else "no"
        elif isinstance(value, int | float):
            text = _FIELDS.get(field.name, plain)(value)
        else:
            text = str(value)
        said.append((NAMES.get(field.name, field.name.replace("_", " ")), text))
    return said
