"""What this machine has, and what a tree of processes takes of it, read from /proc and cgroups.

Choices: memory of a tree is first added up as resident bytes (cheap, and never too small); only where that is over a limit are the
proportional anonymous and shared-memory bytes read (exact: pages shared by forks count once, and mapped files that the kernel can
drop do not count). Limits: Linux only; where the kernel lists no children of a process, a tree is its process group's leader.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_CGROUP: Final = Path("/sys/fs/cgroup")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_HUGE: Final = 1 << 60


def cpu_count(cgroup: Path = _CGROUP) -> float:
    """Processors that this process may use: its affinity, cut by the cgroup's quota."""
    count = float(len(os.sched_getaffinity(0)))
    quota = _text(cgroup / "cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        return min(count, max(1.0, int(quota[0]) / int(quota[1])))
    v1, period = _text(cgroup / "cpu/cpu.cfs_quota_us").strip(), _text(cgroup / "cpu/cpu.cfs_period_us").strip()
    if v1.isdigit() and period.isdigit():
        return min(count, max(1.0, int(v1) / int(period)))
    return count


def memory_bytes(cgroup: Path = _CGROUP, proc: Path = _PROC) -> int:
    """Memory of this machine, cut by the cgroup's limit."""
    fields = dict(line.split(":", 1) for line in _text(proc / "meminfo").splitlines() if ":" in line)
    total = int(fields["MemTotal"].split()[0]) * 1024 if "MemTotal" in fields else _HUGE
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        limit = _text(cgroup / name).strip()
        if limit.isdigit():
            total = min(total, int(limit))
    return total


def oom_kills(cgroup: Path = _CGROUP, proc: Path = _PROC) -> int:
    """How often the kernel has killed for lack of memory: in this cgroup where it counts them, else on the machine."""
    for text in (_text(cgroup / "memory.events"), _text(proc / "vmstat")):
        for line in text.splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0


def started(pid: int, proc: Path = _PROC) -> float | None:
    """When a process started, in seconds since the epoch; None where there is none, or only its end waits to be collected."""
    fields = _text(proc / str(pid) / "stat").rpartition(")")[2].split()
    boot = next((line.split()[1] for line in _text(proc / "stat").splitlines() if line.startswith("btime ")), "")
    if not fields or not boot or fields[0] in ("Z", "X"):
        return None
    return float(boot) + int(fields[19]) / os.sysconf("SC_CLK_TCK")


def tree(pid: int, proc: Path = _PROC) -> list[int]:
    """A process and all that descend from it."""
    found = [pid]
    for parent in found:
        found.extend(child for child in children(parent, proc) if child not in found)
    return found


def children(pid: int, proc: Path = _PROC) -> list[int]:
    """The processes that a process's threads started and that have not been waited for."""
    try:
        threads = list((proc / str(pid) / "task").iterdir())
    except OSError:
        return []
    return [int(child) for thread in threads for child in _text(thread / "children").split()]


def tree_bytes(pid: int, limit_bytes: int, proc: Path = _PROC) -> int:
    """Memory of a tree: resident bytes added up, or where that is over the limit the exact share (see above)."""
    pids = tree(pid, proc)
    resident = sum(_resident(one, proc) for one in pids)
    return resident if resident <= limit_bytes else sum(_share(one, proc) for one in pids)


def tree_cpu_s(pid: int, proc: Path = _PROC) -> float:
    """Processor seconds that a tree has taken, with those of children that were waited for."""
    told = (_text(proc / str(one) / "stat").rpartition(")")[2].split() for one in tree(pid, proc))
    return sum(sum(int(ticks) for ticks in fields[11:15]) for fields in told if len(fields) > 15) / os.sysconf("SC_CLK_TCK")


def peak_bytes(proc: Path = _PROC) -> int:
    """The most resident memory of this process since `reset_peak`."""
    for line in _text(proc / "self/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def reset_peak(proc: Path = _PROC) -> None:
    """Let `peak_bytes` begin anew, where the kernel allows it; else it is the peak of the process's life."""
    _put(proc / "self/clear_refs", "5")


def volunteer_for_oom(proc: Path = _PROC) -> None:
    """Let the kernel, when memory runs out, kill this process before its controller."""
    _put(proc / "self/oom_score_adj", "500")


def _resident(pid: int, proc: Path) -> int:
    fields = _text(proc / str(pid) / "statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def _share(pid: int, proc: Path) -> int:
    fields = dict(line.split(":", 1) for line in _text(proc / str(pid) / "smaps_rollup").splitlines() if ":" in line)
    if "Pss_Anon" in fields:
        return sum(int(fields[name].split()[0]) * 1024 for name in ("Pss_Anon", "Pss_Shmem", "SwapPss") if name in fields)
    return _resident(pid, proc)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""


def _put(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError:
        return
