"""What checkpoints cost a training loop: blocks of 50 steps that take turns, with one saved every 10 steps and without; gives the ratio.

The network has 0.4 million weights and Adam's two moments of each: 5 MB a checkpoint. `async` goes on while it is written, `sync` waits.
"""

from __future__ import annotations

import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from bedplate.storage.checkpoints import FolderCheckpoints

STEPS, EVERY, BATCH = 50, 10, 1024


def copied(state):
    """The same, not shared with the loop."""
    if isinstance(state, torch.Tensor):
        return state.clone()
    if isinstance(state, dict):
        return {name: copied(value) for name, value in state.items()}
    return [copied(value) for value in state] if isinstance(state, list) else state


def main(how: str, blocks: int) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 1))
    steps = torch.optim.Adam(net.parameters())
    rows = torch.randn(BATCH, 256)
    with TemporaryDirectory(dir=".") as folder:
        kept = FolderCheckpoints(Path(folder), "sha256:bench")

        def block(saves: bool) -> float:
            began = time.perf_counter()
            for at in range(1, STEPS + 1):
                steps.zero_grad()
                net(rows).square().mean().backward()
                steps.step()
                if saves and at % EVERY == 0:
                    state = copied({"net": net.state_dict(), "steps": steps.state_dict()})
                    kept.save(at, lambda folder, state=state: torch.save(state, folder / "state.pt"))
                    if how == "sync":
                        kept.wait()
            took = time.perf_counter() - began
            kept.wait()
            return took

        block(True)
        pairs = [(block(True), block(False)) for _ in range(blocks)]
    print(f"inside={statistics.median(saved / bare for saved, bare in pairs) - 1}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
