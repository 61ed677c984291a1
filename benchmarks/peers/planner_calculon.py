"""Calculon: N executions of GPT-3 on 1,024 H100 by its own search of optimal executions, without offload (ours has none in its grid).

It says how many executions it looked at; those that it rejects early count too.
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

from calculon.llm import Llm, OptimalExecution
from calculon.system import System

GPUS = BATCH = 1024
TP, PP = 8, 8
SOURCE = Path(sys.prefix) / "src" / "calculon"

wanted = int(sys.argv[1])
machine = json.loads((SOURCE / "systems" / "h100_80g_nvl8.json").read_text())
machine["mem2"]["GiB"] = 0
system = System(machine)
model = Llm.Application(json.loads((SOURCE / "models" / "gpt3-175B.json").read_text()))
fitting: list[object] = []
looked_at, began = 0, time.process_time()
for recompute, interleaved in itertools.cycle(itertools.product(("full", "attn_only", "none"), (1, 2, 4))):
    search = (False, 1, False, GPUS, BATCH, "float16", model, system, TP, PP, GPUS // (TP * PP), interleaved, BATCH)
    best, tried, *_ = OptimalExecution.search(*search, recompute, True, "rs_ag", False)
    looked_at += tried
    fitting += best
    if looked_at >= wanted:
        break
print(f"inside={(time.process_time() - began) * wanted / looked_at}")
assert fitting
