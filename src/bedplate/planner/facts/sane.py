"""What a case's numbers may be: checked once, before any model sees them, because every model divides by them or takes their logarithm.

Choices: a case says nothing that cannot be (a negative length, half an accelerator, a batch of 1e300): it is answered `unsupported` with
the field's name, as what no model covers. A limit is a thousand times what any published run has, so that only slips of the pen meet it.
Limits: numbers that are possible one by one and impossible together (a layout of more accelerators than there are) are the models'.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from .cases import Answer, Case, ModelName, Overrides, Parallel, Unsupported

MOST_DEGREE = 1e6
"""Accelerators, and degrees of a layout."""
MOST_TOKENS = 1e9
"""Tokens of one sequence, prompt or answer; pixels of a side; elements of a side of a product; denoising steps and frames."""
MOST_OF_A_MODEL = 1e8
"""Widths, heads, layers and the vocabulary of a model."""
MOST = 1e18
"""Anything else: parameters, tokens of a run or a step, bytes of a message, hours."""

_MOST = {
    Parallel: MOST_DEGREE, ModelName: MOST_OF_A_MODEL, Overrides: 1e9,
    "n_accel": MOST_DEGREE, "n_nodes": MOST_DEGREE, "seq_len": MOST_TOKENS, "isl": MOST_TOKENS, "osl": MOST_TOKENS,
    "resolution": MOST_TOKENS, "shape_mnk": MOST_TOKENS, "steps": MOST_TOKENS, "frames": MOST_TOKENS, "fps": MOST_TOKENS,
    "concurrency": MOST_TOKENS, "batch_size": MOST_TOKENS, "gbs": MOST_TOKENS, "mbs": MOST_TOKENS, "local_batch": MOST_TOKENS,
    "grad_accum": MOST_TOKENS, "pue": 10.0, "g_per_kwh": 1e4, "power_w": 1e5, "params": MOST, "active_params": MOST,
}  # fmt: skip
"""Record or field -> the most that it may say."""
_MAY_BE_ZERO = {"g_per_kwh", "tokens", "trainable_params"}


def sane(case: Case) -> Case:
    """The case itself. Raises Unsupported with the first field whose number cannot be."""
    for field, number in _numbers(case, ""):
        name = field.rpartition(".")[2]
        record = {"model": ModelName, "accelerator_overrides": Overrides}.get(field.partition(".")[0], Parallel if "." in field else name)
        most = _MOST.get(name) or _MOST.get(record, MOST)
        if not math.isfinite(number) or number < 0 or (number == 0 and name not in _MAY_BE_ZERO) or number > most:
            raise Unsupported(f"{field} is {number:g}: it must be more than 0 and at most {most:g}")
    named = case.model
    if named is not None and named.d_model and named.n_heads and named.d_model < named.n_heads:
        raise Unsupported(f"{named.name} of width {named.d_model} has no {named.n_heads} heads")
    return case


def finite(answer: Answer) -> Answer:
    """The answer itself. Raises Unsupported where a quantity is no number: then the case lies where a formula has none."""
    for name, found in answer.quantities.items():
        if not all(math.isfinite(number) for number in (found.low, found.value, found.high)):
            raise Unsupported(f"the numbers of the case leave {name} without one")
    return answer


def _numbers(record: msgspec.Struct, before: str) -> Iterator[tuple[str, float]]:
    """(field, number) of a record and of the records in it; true and false are no numbers."""
    for field in record.__struct_fields__:
        value = getattr(record, field)
        if isinstance(value, msgspec.Struct):
            yield from _numbers(value, f"{before}{field}.")
        for number in value if isinstance(value, tuple) else (value,):
            if isinstance(number, int | float) and not isinstance(number, bool):
                yield f"{before}{field}", number
