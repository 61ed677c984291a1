"""llm-analysis: N training configurations of a 175B model on 1,024 H100, by its class as its own `train` calls it.

It works out memory and latency with the efficiency that it is given; names are looked up before the clock starts, and its log is off.
"""

from __future__ import annotations

import itertools
import sys
import time

from llm_analysis.analysis import ActivationRecomputation, DSZeRO, LLMAnalysis
from llm_analysis.config import ParallelismConfig, get_dtype_config_by_name, get_gpu_config_by_name, get_model_config_by_name
from llm_analysis.logger import logger

GPUS = BATCH = 1024
GRID = [
    (tp, pp, GPUS // (tp * pp), mbs, recompute, zero)
    for tp, pp, mbs, recompute, zero in itertools.product(
        (1, 2, 4, 8), (1, 2, 4, 8, 16, 32), (1, 2, 4), ActivationRecomputation, (DSZeRO.STAGE_1, DSZeRO.STAGE_3)
    )
    if BATCH % (GPUS // (tp * pp) * mbs) == 0
]

wanted = int(sys.argv[1])
logger.setLevel("CRITICAL")
model, gpu = get_model_config_by_name("megatron-lm-175b"), get_gpu_config_by_name("h100-sxm-80gb")
dtype = get_dtype_config_by_name("w16a16e16")
began = time.process_time()
for tp, pp, dp, mbs, recompute, zero in itertools.islice(itertools.cycle(GRID), wanted):
    layout = ParallelismConfig(tp_size=tp, pp_size=pp, dp_size=dp)
    planned = LLMAnalysis(model, gpu, dtype, layout, flops_efficiency=0.5)
    found = planned.training(
        batch_size_per_gpu=mbs, global_batch_size=BATCH, seq_len=2048, activation_recomputation=recompute, ds_zero=zero
    )  # fmt: skip
print(f"inside={time.process_time() - began}")
assert found["latency_per_iter"] > 0
