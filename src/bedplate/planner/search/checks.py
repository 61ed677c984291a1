"""What a question to train may ask: what is refused before anything is searched, and with which words.

Choices: a name that nothing is called by is refused with the nearest one, never answered with something else. A precision is one that
weights are trained in and that the chip multiplies itself: where some machines cannot, they are left out; where none can, that is said.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Finetune, Limits, Question, Train
from bedplate.planner.facts.architecture import Architecture
from bedplate.planner.facts.systems import EXPORT_ORDER, Accelerator
from bedplate.planner.training.engines import ALIASES, ENGINES

from .offers import Offer, joins

TRAINED_IN = {
    "bf16": ("bf16", "fp16"), "fp16": ("fp16", "bf16"), "fp8": ("fp8", "mxfp8"), "mxfp8": ("mxfp8", "fp8"),
    "nvfp4": ("nvfp4", "fp4", "mxfp4"), "mxfp4": ("mxfp4", "fp4", "nvfp4"),
}  # fmt: skip
"""Precision that products are trained in -> formats of a data sheet that a chip with it multiplies."""
MOST_TOKENS = 1e16
"""Far more text than there is (3e14 tokens of public text: Villalobos et al., arXiv 2211.04325)."""
MOST_BATCH_TOKENS = 1e10
"""A thousand times the batches of published runs (60 M: DeepSeek-V3, arXiv 2412.19437)."""

Asked = TypeVar("Asked", bound=Question)


def readable(question: Asked) -> Asked:
    """The question, its fields of the types they should be (a program may have put a text where a number belongs).

    Raises UserError, also for a number beyond all that is ever asked.
    """
    try:
        read = msgspec.convert(msgspec.to_builtins(question), type(question))
    except (msgspec.ValidationError, TypeError) as error:
        raise UserError(f"the question cannot be read: {error}", next="give numbers, not texts: tokens=2e12, by_s=30 * 86400") from None
    for name in read.__struct_fields__:
        value = getattr(read, name)
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not abs(number) <= MOST:
                why = "it must be a number" if math.isnan(number) else f"no number of a question is above {MOST:g}"
                raise UserError(f"{name.removesuffix('_s')} is {number:g}", why=why, next="give a number that can be reached")
    return read


MOST = 1e35
"""More than any count, length or amount of money: a slip of the pen."""


def within(limits: Limits) -> None:
    """Raises UserError for a limit that nothing could keep to, two that contradict, or an export class that there is none of."""
    for name in ("gpus", "max_gpus", "by_s", "budget_usd", "max_power_w"):
        value = getattr(limits, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"{name} is {value:g}", why="a limit must be more than nothing, and not endless")
    if limits.gpus is not None and limits.max_gpus is not None and limits.gpus > limits.max_gpus:
        raise UserError(
            "two limits cannot be met together", why=f"exactly {limits.gpus:,} accelerators, at most {limits.max_gpus:,}",
            next="leave one of them out",
        )  # fmt: skip
    if limits.export:
        known("export class", limits.export, EXPORT_ORDER, "--export")


def known(what: str, name: str, names: Iterable[str], option: str) -> None:
    """Raises UserError with the nearest name where there is none like it."""
    every = sorted(names)
    if name not in every:
        near = difflib.get_close_matches(name, every, n=1)
        raise UserError(f"there is no {what} '{name}'", why=f"known: {', '.join(every)}", next=f"{option} {near[0] if near else every[0]}")


def trainable(question: Train | Finetune, arch: Architecture) -> None:
    """Raises UserError for a question that has no answer."""
    if question.engine:
        known("training engine", question.engine, {*ENGINES, *ALIASES}, "--engine")
    if question.precision not in TRAINED_IN:
        raise UserError(
            f"'{question.precision}' is no precision to train in", why=f"known: {', '.join(TRAINED_IN)}; weights stay in fp32",
            next="--method qlora" if isinstance(question, Finetune) and question.precision.startswith("nf4") else "--precision bf16",
        )  # fmt: skip
    if isinstance(question, Train) and question.epochs != 1:
        what = f"epochs are of images, and {arch.name} is trained on tokens"
        raise UserError(what, why="each token is counted as often as it is seen", next="--tokens 2T for two epochs of 1T")
    on_accelerators(arch)
    images = _images(arch, question)
    if not question.tokens:
        raise UserError("tokens to train on are missing", next=images or "--tokens 2T")
    for name in ("tokens", "seq_len", "rank", "batch_tokens"):
        value = getattr(question, name, None)
        if value is not None and not 1 <= value < math.inf:
            raise UserError(f"{name} is {value:g}", why="it must be at least 1")
    if isinstance(question, Finetune) and question.rank > arch.d_model:
        raise UserError(f"adapters of rank {question.rank:,} are wider than {arch.name} ({arch.d_model:,})", next="--rank 16")
    if (question.batch_tokens or 0.0) > MOST_BATCH_TOKENS:
        raise UserError(f"a batch of {question.batch_tokens:.3g} tokens is more than any run had", next="--batch-tokens 16M")
    if question.tokens > MOST_TOKENS:
        raise UserError(f"{question.tokens:.3g} tokens are more than there is text", next="--tokens 15T")
    if question.batch_tokens and question.batch_tokens < question.seq_len / 2:
        raise UserError(f"a batch of {question.batch_tokens:,.0f} tokens holds no sequence of {question.seq_len:,}", next="--seq-len less")
    if not arch.groups:
        what = f"'{arch.name}' is not described layer by layer"
        raise UserError(what, next=images or "give the path of its config.json, or another model")
    if arch.family not in ("decoder", "encoder", "encoder-decoder"):
        raise UserError(f"'{arch.name}' is not trained on tokens", why=f"it is of the family '{arch.family}'", next=images)


def _images(arch: Architecture, question: Train | Finetune) -> str:
    """What to ask instead of a model of images."""
    asked = "--items 1.28M --epochs 90"
    return "" if arch.family != "vision" else asked if isinstance(question, Train) else f"bedplate size train --model {arch.name} {asked}"


def on_accelerators(arch: Architecture) -> None:
    """Raises UserError for a model that processors run: trees, and tables of embeddings."""
    writes = arch.vocab_size and arch.groups and arch.family in ("decoder", "encoder-decoder")
    if arch.family == "trees" or (not writes and arch.diffusion is None and (arch.params or 0.0) > MOST_PARAMS):
        what = "trees run on processors" if arch.family == "trees" else "its tables of embeddings live in the memory of many hosts"
        raise UserError(f"{arch.name} cannot be sized", why=f"{what}, which the catalogue does not list", next="bedplate size list models")


MOST_PARAMS = 3e9
"""A network with more weights is not held whole by every accelerator (embedding tables)."""


def usable(question: Train | Finetune, listed: list[Offer]) -> list[Offer]:
    """The offers that multiply in the precision, in whole nodes of the number that was asked for. Raises UserError where there is none."""
    able = [offer for offer in listed if multiplies(offer.chip, question.precision)]
    if not able:
        names = ", ".join(sorted({offer.chip.name for offer in listed}))
        raise UserError(f"no matrix unit of {names} multiplies {question.precision}", next="--precision bf16, or another --on")
    gpus = question.limits.gpus
    whole = [offer for offer in able if gpus is None or joins(offer, gpus)]
    if gpus is not None and not whole:
        raise _unjoined(gpus, able)
    return whole


def _unjoined(gpus: int, able: list[Offer]) -> UserError:
    """Why so many accelerators cannot work on one job: no whole nodes, or nodes without a network between them."""
    units = {offer.per_node for offer in able if joins(offer, 2 * offer.per_node)}
    if units:
        unit = min(units)
        return UserError(f"{gpus} accelerators are not whole nodes of {unit}", next=f"--gpus {max(gpus // unit, 1) * unit}")
    names, sizes = ", ".join(sorted({offer.chip.name for offer in able})), sorted({offer.per_node for offer in able})
    told = f"{' or '.join(str(size) for size in sizes)} at a time are on offer, and no node of {names} with a network is known to join them"
    return UserError(
        f"no machine on offer joins {gpus:,} accelerators for one job", why=told,
        next=f"--gpus {max(sizes)}, another --provider or --on, or bring a nodes.csv: --systems FOLDER",
    )  # fmt: skip


def multiplies(chip: Accelerator, precision: str) -> bool:
    """Whether the data sheet gives a rate for products in this precision itself, not in one that it would be widened to."""
    return any(chip.tflops.get(name) for name in TRAINED_IN[precision])
