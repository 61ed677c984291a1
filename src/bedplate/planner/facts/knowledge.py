"""All that an answer may rest on, in one record: hardware, architectures, fitted constants.

Assembly loads it, the planner only reads it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

import msgspec

from bedplate.core.errors import NotFound
from bedplate.core.records import Record

from .architecture import Architecture, Architectures, as_printed
from .calibration import Constants
from .cases import Case, Unsupported
from .systems import Accelerator, Systems


class Knowledge(Record, frozen=True, kw_only=True):
    """`constants` by the name of the model they belong to: training, convergence, memory, serving, generation, kernels, energy."""

    systems: Systems
    architectures: Architectures
    constants: Mapping[str, Constants]

    def knows(self, name: str, architecture: Architecture) -> Knowledge:
        """The same with one more architecture, under that name."""
        rows = {**self.architectures.rows, name: architecture}
        return msgspec.structs.replace(self, architectures=msgspec.structs.replace(self.architectures, rows=rows))

    def architecture(self, name: str) -> Architecture:
        """The architecture of that name or alias. Raises NotFound with the nearest names."""
        rows, aliases = self.architectures.rows, self.architectures.aliases
        if name in rows:
            return rows[name]
        lowered = name.lower()
        known = {row.lower(): row for row in rows} | aliases
        if lowered in known:
            return rows[known[lowered]]
        for spelt in (_stem, _letters):
            stems = {spelt(row): to for row, to in known.items()}
            if spelt(name) and spelt(name) in stems:
                return rows[stems[spelt(name)]]
        near = difflib.get_close_matches(lowered, known, n=4, cutoff=0.4)
        raise NotFound(
            f"there is no model '{name}'",
            why="nearest: " + ", ".join(sorted({known[n] for n in near})) if near else "nothing is called like it",
            next="bedplate size list models, or give the path of a config.json",
        )


_TUNED = re.compile(r"-(instruct|chat|it|hf|base|pt|thinking|fp8|fp4|nvfp4|mxfp4|bf16|fp16|awq|gptq|int4|int8|maxtext|diffusers)$")
"""Endings of a checkpoint's name that leave the architecture as it is."""


def _stem(name: str) -> str:
    """The model's name without its owner, in one spelling of separators, without what training or quantising added."""
    stem = re.sub(r"[\s_]+", "-", name.strip().lower().rsplit("/", 1)[-1])
    while (shorter := _TUNED.sub("", stem)) != stem:
        stem = shorter
    return stem


def _letters(name: str) -> str:
    """The stem's letters and digits alone: flux-1-dev is FLUX.1-dev."""
    return "".join(sign for sign in _stem(name) if sign.isalnum())


def machine(case: Case, knowledge: Knowledge) -> Accelerator:
    """The case's accelerator with its overrides. Raises Unsupported where the case names none or an unknown one."""
    if case.accelerator is None:
        raise Unsupported("no accelerator is named")
    try:
        chip = knowledge.systems.accelerator(case.accelerator)
    except NotFound as error:
        raise Unsupported(f"{error.what} ({error.why})") from None
    over = case.accelerator_overrides
    if over is None:
        return chip
    changed = {"mem_gb": over.mem_gb, "mem_type": over.mem_type, "mem_gbs": over.mem_gbps, "tdp_w": over.tdp_w}
    return msgspec.structs.replace(chip, **{k: v for k, v in changed.items() if v is not None})


def model(case: Case, knowledge: Knowledge) -> Architecture:
    """The case's architecture, with the dimensions that the case prints. Raises Unsupported where none is known."""
    if case.model is None:
        raise Unsupported("no model is named")
    try:
        arch = knowledge.architecture(case.model.name)
    except NotFound as error:
        raise Unsupported(f"{error.what} ({error.why})") from None
    named = case.model
    if (named.d_model or arch.d_model) < (named.n_heads or arch.n_heads):
        raise Unsupported(f"{named.name} of width {named.d_model or arch.d_model} has no {named.n_heads or arch.n_heads} heads")
    return as_printed(
        arch,
        n_layers=named.n_layers,
        d_model=named.d_model,
        n_heads=named.n_heads,
        n_kv_heads=named.n_kv_heads,
        d_ff=named.d_ff,
        vocab_size=named.vocab_size,
    )
