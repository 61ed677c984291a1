"""What /proc and cgroups say of a machine and of a tree of processes."""

from __future__ import annotations

import os

from bedplate.compute import machine


def process(proc, pid, *, children=(), resident_pages=0, anon_kb=None):
    task = proc / str(pid) / "task" / str(pid)
    task.mkdir(parents=True)
    (task / "children").write_text(" ".join(map(str, children)))
    (proc / str(pid) / "statm").write_text(f"9999 {resident_pages} 0 0 0 0 0")
    if anon_kb is not None:
        (proc / str(pid) / "smaps_rollup").write_text(
            f"0-1 ---p [rollup]\nRss: 99999 kB\nPss: 5000 kB\nPss_Anon: {anon_kb} kB\nPss_File: 4000 kB\nPss_Shmem: 8 kB\nSwapPss: 0 kB\n"
        )


def test_a_tree_is_all_that_descends_and_a_dead_child_is_no_trouble(tmp_path):
    process(tmp_path, 1, children=(2, 3))
    process(tmp_path, 2, children=(4,))
    process(tmp_path, 4)
    assert machine.tree(1, tmp_path) == [1, 2, 3, 4]


def test_memory_within_the_limit_is_resident_bytes_and_beyond_it_the_exact_share(tmp_path):
    """Mapped files and pages that forks share do not kill a job."""
    page = os.sysconf("SC_PAGE_SIZE")
    process(tmp_path, 1, children=(2,), resident_pages=1000, anon_kb=100)
    process(tmp_path, 2, resident_pages=500, anon_kb=50)
    assert machine.tree_bytes(1, 1500 * page, tmp_path) == 1500 * page
    assert machine.tree_bytes(1, 1500 * page - 1, tmp_path) == (100 + 50 + 2 * 8) * 1024


def test_a_machine_is_cut_by_its_cgroup(tmp_path):
    (tmp_path / "meminfo").write_text("MemTotal:       1000 kB\nMemFree: 10 kB\n")
    assert machine.memory_bytes(tmp_path / "none", tmp_path) == 1_024_000
    (tmp_path / "memory.max").write_text("500000\n")
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert machine.memory_bytes(tmp_path, tmp_path) == 500_000
    assert machine.cpu_count(tmp_path) == 1.0
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.memory_bytes(tmp_path, tmp_path) == 1_024_000
    assert machine.cpu_count(tmp_path) == len(os.sched_getaffinity(0))


def test_kernel_kills_are_counted_where_the_kernel_counts_them(tmp_path):
    assert machine.oom_kills(tmp_path, tmp_path) == 0
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 7\n")
    assert machine.oom_kills(tmp_path, tmp_path) == 7
    (tmp_path / "memory.events").write_text("low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\n")
    assert machine.oom_kills(tmp_path, tmp_path) == 2


def test_this_process_can_be_read():
    """The real /proc of the machine that runs the tests."""
    machine.reset_peak()
    assert machine.peak_bytes() > 1_000_000
    assert machine.tree_bytes(os.getpid(), 1 << 60) > 1_000_000
    assert 0 < machine.tree_bytes(os.getpid(), 0) < 1 << 40
