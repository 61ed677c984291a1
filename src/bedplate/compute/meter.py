"""Energy of a job: from the processor's own counters (RAPL) where they are readable, else from an assumed power.

Choices: the package's joules during a job are shared among all that ran by CPU time, so jobs side by side are not counted twice;
the basis is then `measured`. Without counters it is the job's CPU seconds times the watts of one busy processor, `assumed`.
Limits: accelerators, memory and disks have no meter here; many systems let only root read the counters.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from bedplate.core.records import Basis, Record

_POWERCAP: Final = Path("/sys/class/powercap")
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Reading(Record, frozen=True, kw_only=True):
    """The counters at one moment: joules of each package, and CPU seconds that the whole machine was busy."""

    joules: tuple[float, ...] = ()
    busy_s: float = 0.0


class Meter:
    """Reads energy counters. `watts_per_cpu` is used where there are none; 0 makes energy `unknown`."""

    def __init__(self, watts_per_cpu: float, powercap: Path = _POWERCAP, stat: Path = Path("/proc/stat")) -> None:
        self._watts = watts_per_cpu
        self._stat = stat
        packages = sorted(path for path in powercap.glob("intel-rapl:*") if path.name.count(":") == 1) if powercap.is_dir() else []
        self._packages = [path for path in packages if _number(path / "energy_uj") is not None]
        self._ranges = [(_number(path / "max_energy_range_uj") or 0) / 1e6 for path in self._packages]

    def read(self) -> Reading:
        """The counters now; nothing is read where there are none."""
        if not self._packages:
            return Reading()
        return Reading(joules=tuple((_number(path / "energy_uj") or 0) / 1e6 for path in self._packages), busy_s=self._busy())

    def energy(self, before: Reading, after: Reading, cpu_s: float) -> tuple[float, Basis]:
        """Joules of a job that took `cpu_s` between two readings, and on what that is based."""
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
