"""What kind of work a model does when it is served, and which options of a question belong to that kind.

    language    writes tokens: prompts and answers
    diffusion   makes images or videos in denoising steps
    network     one pass for an item: classifies an image, embeds a text

Choices: an option that belongs to another kind is refused with words, never left unheeded; what is given is what differs from the record's
default. Limits: trees and tables of embeddings run on processors, which the catalogue does not list.
"""

from __future__ import annotations

import math
from typing import Any, Literal, TypeVar

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Serve
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.generation.answering import COMPILED

from .checks import known, on_accelerators
from .serving_checks import MOST_MONTHS, MOST_RATE, MOST_REQUESTS

Kind = Literal["language", "diffusion", "network"]
Asked = TypeVar("Asked", bound=Serve | Batch)

SHARED = {"model", "rate", "requests", "precision", "months", "limits"}
ITEMS = {"latency_s", "resolution", "steps", "frames"}
OWN: dict[Kind, set[str]] = {"diffusion": {*ITEMS, "engine"}, "network": {"latency_s", "isl"}}
"""Options of a kind beside SHARED; a language model takes all but ITEMS."""
DOES: dict[Kind, str] = {"language": "writes tokens", "diffusion": "makes images or videos", "network": "is run once for an item"}
ENGINES = ("diffusers", "xdit", *COMPILED)
MOST_PIXELS, MOST_STEPS, MOST_FRAMES = 16384, 1000, 10_000


def kind_of(arch: Architecture) -> Kind:
    """Raises UserError for a model that no accelerator serves."""
    if arch.diffusion is not None:
        return "diffusion"
    if arch.vocab_size and arch.groups and arch.family in ("decoder", "encoder-decoder"):
        return "language"
    on_accelerators(arch)
    if arch.family in ("vision", "encoder") and (arch.groups or arch.activations_per_item):
        return "network"
    why = f"it is of the family '{arch.family}'" if arch.groups else "it is not described layer by layer"
    raise UserError(f"{arch.name} does not write tokens", why=why, next="a language model: bedplate size list models")


def suited(question: Asked, arch: Architecture) -> Asked:
    """The question of a diffusion model or a network with its precision filled in. Raises UserError for an option of another kind."""
    kind = kind_of(arch)
    suits(question, arch)
    _numbers(question, arch)
    if kind == "diffusion" and "engine" in given(question):
        known("engine of images and videos", question.engine, ENGINES, "--engine")
    engine = question.engine if "engine" in given(question) else ""
    return msgspec.structs.replace(question, engine=engine, precision=question.precision or "bf16")


def suits(question: Serve | Batch, arch: Architecture) -> None:
    """Raises UserError for an option that belongs to another kind of model, and where a language model's tokens are missing."""
    kind = kind_of(arch)
    said = given(question)
    wrong = said & ITEMS if kind == "language" else said - SHARED - OWN[kind]
    if kind == "network" and arch.family != "encoder":
        wrong |= said & {"isl"}
    if wrong:
        option = _option(sorted(wrong)[0])
        raise UserError(f"{option} does not belong to {arch.name}", why=f"it {DOES[kind]}", next=f"leave out {option}")
    if kind == "language" and not {"isl", "osl"} <= said:
        raise UserError(f"the tokens of a prompt and of an answer of {arch.name} are missing", next="--isl 1000 --osl 200")


def given(question: Serve | Batch) -> set[str]:
    """Names of the fields that differ from their defaults; an empty text says nothing."""
    return {f.name for f in msgspec.structs.fields(question) if getattr(question, f.name) not in (f.default, "")}


def _option(field: str) -> str:
    return "--" + field.removesuffix("_s").replace("_", "-")


def _numbers(question: Serve | Batch, arch: Architecture) -> None:
    """Every number more than nothing and not beyond reason."""
    most: dict[str, float] = {
        "rate": MOST_RATE, "requests": MOST_REQUESTS, "months": MOST_MONTHS, "latency_s": math.inf, "steps": MOST_STEPS,
        "frames": MOST_FRAMES, "isl": math.inf,
    }  # fmt: skip
    for name, limit in most.items():
        value: Any = getattr(question, name, None)
        if name in given(question) and not 0 < value <= limit:
            raise UserError(f"{name} is {value:g}", why=f"it must be more than nothing{f', at most {limit:g}' if limit < math.inf else ''}")
    if question.resolution and not all(8 <= side <= MOST_PIXELS for side in question.resolution):
        raise UserError(f"{question.resolution[0]} x {question.resolution[1]} pixels are no picture", next="--resolution 1024x1024")
    if question.frames and arch.diffusion is not None and arch.diffusion.temporal == 1:
        raise UserError(f"{arch.name} makes single images", next="leave out --frames")
    if arch.max_len and question.isl > arch.max_len:
        what = f"{question.isl:,.0f} tokens are more than {arch.name} reads"
        raise UserError(what, why=f"at most {arch.max_len:,}", next=f"--isl {arch.max_len}")
