"""Energy of a job: from the processor's own counters (RAPL) where they are readable, else from an assumed power; and accelerators' (NVML).

Choices: the package's joules during a job are shared among all that ran by CPU time, so jobs side by side are not counted twice;
the basis is then `measured`. Without counters it is the job's CPU seconds times the watts of one busy processor, `assumed`. What the
accelerators of a job drew is added where they say so; the sum is `measured` only where every part of it is.
Limits: memory and disks have no meter here; many systems let only root read the processor's counters.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bedplate.core.records import Basis, Record

from .nvml import Accelerators

_POWERCAP: Final = Path("/sys/class/powercap")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Reading(Record, frozen=True, kw_only=True):
    """The counters at one moment: joules of each package and accelerator, and CPU seconds that the whole machine was busy."""

    joules: tuple[float, ...] = ()
    busy_s: float = 0.0
    accelerators: tuple[float | None, ...] = ()


class Meter:
    """Reads energy counters. `watts_per_cpu` is used where the processor has none; 0 makes energy `unknown`.

    `accelerators` are those whose counters are read too; None where no job uses any.
    """

    def __init__(
        self, watts_per_cpu: float, powercap: Path = _POWERCAP, stat: Path = Path("/proc/stat"), accelerators: Accelerators | None = None
    ) -> None:
        self._accelerators = accelerators
        self._watts = watts_per_cpu
        self._stat = stat
        packages = sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1) if powercap.is_dir() else []
        self._packages = [path for path in packages if _number(path / "energy_uj") is not None]
        self._ranges = [(_number(path / "max_energy_range_uj") or 0) / 1e6 for path in self._packages]

    def read(self) -> Reading:
        """The counters now; nothing is read where there are none."""
        drawn = self._accelerators.joules() if self._accelerators is not None else ()
        if not self._packages:
            return Reading(accelerators=drawn)
        joules = tuple((_number(path / "energy_uj") or 0) / 1e6 for path in self._packages)
        return Reading(joules=joules, busy_s=self._busy(), accelerators=drawn)

    def energy(self, before: Reading, after: Reading, cpu_s: float, gpus: Sequence[int] = ()) -> tuple[float, Basis]:
        """Joules of a job that took `cpu_s` on these accelerators between two readings, and on what that is based."""
        joules, basis = self._processor(before, after, cpu_s)
        if not gpus:
            return joules, basis
        pairs = [
            (before.accelerators[gpu], after.accelerators[gpu])
            for gpu in gpus
            if gpu < min(len(before.accelerators), len(after.accelerators))
        ]
        drawn = [now - was for was, now in pairs if was is not None and now is not None]
        if len(drawn) < len(gpus):  # an accelerator that nobody measures: less than all of it is known
            return joules + sum(drawn), "assumed" if basis != "unknown" or drawn else "unknown"
        return joules + sum(drawn), basis if basis == "measured" else "assumed"

    def _processor(self, before: Reading, after: Reading, cpu_s: float) -> tuple[float, Basis]:
        if not before.joules or len(before.joules) != len(after.joules):
            return (cpu_s * self._watts, "assumed") if self._watts else (0.0, "unknown")
        spent = sum(
            now - was if now >= was else now - was + wrap for was, now, wrap in zip(before.joules, after.joules, self._ranges, strict=True)
        )
        busy = after.busy_s - before.busy_s
        return spent * (min(1.0, cpu_s / busy) if busy > 0 else 1.0), "measured"

    def _busy(self) -> float:
        """CPU seconds in user, nice, system, irq and softirq since the machine started."""
        fields = self._stat.read_text().split("\n", 1)[0].split()[1:]
        return sum(int(fields[at]) for at in (0, 1, 2, 5, 6)) / _TICKS


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
