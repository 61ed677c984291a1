"""A fixed batch: all prompts at once, then all answers together, as benchmarks of the first TensorRT-LLM releases ran.

time = prompts of the whole batch in chunks + (osl - 1) x one decode iteration at the mean context
"""

from __future__ import annotations

from .iteration import iteration
from .loop import prefill_chunks
from .rates import Rates
from .records import ServeLayout, ServeLoad, ServeMemory, ServeResult
from .work import Work


def fixed_batch(layout: ServeLayout, load: ServeLoad, work: Work, rates: Rates, memory: ServeMemory) -> ServeResult:
    """The result of one fixed batch of `load.concurrency` requests on each instance. No client, no queue."""
    batch = (load.concurrency or 1.0) / layout.dp
    of_rank = batch / layout.attention_dp
    chunks = float(prefill_chunks(of_rank * load.isl, float(layout.chunk)))
    first = iteration(
        work,
        rates,
        sequences=0.0,
        context=0.0,
        prefill=of_rank * load.isl / chunks,
        prefill_context=load.isl / 2,
        prefill_ranks=float(layout.attention_dp),
    )
    decode = iteration(work, rates, sequences=of_rank, context=load.isl + load.osl / 2)
    ttft, tpot = float(first.total) * chunks, float(decode.total) / layout.per_step
    whole = ttft + max(load.osl - 1, 0.0) * tpot
    return ServeResult(
        ttft_s=ttft,
        tpot_s=tpot,
        output_tokens_per_s=batch * layout.dp * load.osl / whole,
        requests_per_s=batch * layout.dp / whole,
        running=batch * layout.dp,
        memory=memory,
    )
