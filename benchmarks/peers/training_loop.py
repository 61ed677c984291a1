"""One training loop for both: a network of 0.8 million weights on made-up rows, by DDP on two processes; gives the loop's seconds.

`python -m torch.distributed.run --nproc-per-node 2 training_loop.py` is the bare one; `training_ours.py` has it as a train function.
"""

from __future__ import annotations

import os
import time

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

STEPS, WARM, BATCH = int(os.environ.get("STEPS", "120")), 10, 128


def loop() -> float:
    """Wall seconds of the steps after the first few, on this rank."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 1024), nn.ReLU(), nn.Linear(1024, 512), nn.ReLU(), nn.Linear(512, 1))
    ddp = DistributedDataParallel(net)
    steps = torch.optim.SGD(ddp.parameters(), 0.01)
    rows = torch.randn(BATCH, 256)
    began = 0.0
    for at in range(WARM + STEPS):
        if at == WARM:
            dist.barrier()
            began = time.perf_counter()
        steps.zero_grad()
        ddp(rows).square().mean().backward()
        steps.step()
    dist.barrier()
    return time.perf_counter() - began


if __name__ == "__main__":
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    took = loop()
    if dist.get_rank() == 0:
        print(f"inside={took}")
    dist.destroy_process_group()
