"""How much of a long run is useful work: failures, spot reclaims, checkpoints and restarts.

    time between interruptions  M = 1 / (accelerators / MTBF + nodes x reclaims an hour)
    checkpoint interval         tau = sqrt(2 delta M)                         Young 1974; Daly 2006, first order
    useful share                1 / (1 + delta / tau + (tau / 2 + R) / M)

`delta` is how long a save stops the step: of an asynchronous one only the copy to host memory. `R` is detection, a new node, loading
and the first step. Source of the usual MTBF: 419 unexpected interruptions in 54 days on 16,384 H100 (Llama 3, arXiv 2407.21783,
section 3.3.4): 16,384 x 54 x 24 / 419 = 50,700 accelerator-hours.
Limits: failures are independent and equally likely at any time; slow nodes are the training model's `jitter`.
"""

from __future__ import annotations

import math

from bedplate.core.records import Record

MTBF_ACCEL_H = 50_700.0
HOST_GBS = 25.0
"""GB/s from an accelerator to its host's memory: half of PCIe 5.0 x16 (64 GB/s), a card each."""
RESTART_S = 900.0
"""Detection, replacement, loading and the first step: 10 to 20 minutes in published logs (OPT-175B logbook, Llama 3 section 3.3.4)."""


class Goodput(Record, frozen=True, kw_only=True):
    """Seconds between interruptions, between checkpoints, and that a save stops the step; the share of time that is useful, 0 to 1."""

    between_s: float
    interval_s: float
    save_s: float
    useful: float


def goodput(
    n_accel: int, n_nodes: int, bytes_per_accel: float, *, reclaims_per_node_hour: float = 0.0, mtbf_accel_h: float = MTBF_ACCEL_H,
    restart_s: float = RESTART_S, write_bytes_s: float | None = None,
) -> Goodput:  # fmt: skip
    """The useful share of a run on `n_accel` accelerators whose checkpoints are `bytes_per_accel` each.

    Saves are asynchronous; with `write_bytes_s` (of one accelerator to storage) they stop the step until they are written.
    """
    save = bytes_per_accel / (write_bytes_s or HOST_GBS * 1e9)
    between = 3600.0 / (n_accel / mtbf_accel_h + n_nodes * reclaims_per_node_hour)
    interval = young_daly(save, between)
    waste = save / interval + (interval / 2 + restart_s) / between
    return Goodput(between_s=between, interval_s=interval, save_s=save, useful=1.0 / (1.0 + waste))


def young_daly(save_s: float, between_s: float) -> float:
    """Seconds between checkpoints that waste least, for a save of `save_s` > 0 and a mean of `between_s` between interruptions."""
    return math.sqrt(2.0 * max(save_s, 1e-3) * between_s)
