"""Which of the ready jobs start: in order, within what is free, and a big one is never starved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.compute.slots import Slots, check_fits, fits, pick
from bedplate.core.errors import WorldError
from bedplate.core.project import Needs

TOTAL = Slots(cpu=8, gpu=1, memory_bytes=1000)


def jobs(*cpus: float) -> list[tuple[str, Needs]]:
    return [(f"{at}", Needs(cpu=cpu)) for at, cpu in enumerate(cpus)]


def less(**taken: float) -> Slots:
    return TOTAL.minus(Needs(**taken))


@pytest.mark.parametrize(
    ("ready", "free", "started"),
    [
        (jobs(1, 1, 1), TOTAL, ["0", "1", "2"]),
        (jobs(4, 4, 4), TOTAL, ["0", "1"]),
        (jobs(0.1, 0.2, 7.7), TOTAL, ["0", "1", "2"]),
        (jobs(32), TOTAL, ["0"]),
        (jobs(32, 1), TOTAL, ["0"]),
        (jobs(32), less(cpu=1), []),
        (jobs(32, 1), less(cpu=1), []),
        (jobs(), TOTAL, []),
        ([("big", Needs(memory_bytes=900)), ("also", Needs(memory_bytes=200)), ("small", Needs())], TOTAL, ["big", "small"]),
        ([("one", Needs(gpu=1)), ("two", Needs(gpu=1)), ("none", Needs(cpu=2))], TOTAL, ["one", "none"]),
    ],
)
def test_what_starts(ready, free, started):
    assert pick(ready, free, TOTAL) == started


def test_a_small_job_passes_a_big_one_only_on_what_the_big_one_leaves():
    """6 of 8 are waited for while 4 run: the other 2 are taken by those running, so nothing passes; with 1 running, one may."""
    assert pick(jobs(6, 1), less(cpu=4), TOTAL) == []
    assert pick([("big", Needs(cpu=6, gpu=1)), *jobs(1, 1)], TOTAL.minus(Needs(cpu=1, gpu=1)), TOTAL) == ["0"]


def test_without_the_total_nothing_passes():
    assert pick(jobs(6, 1), less(cpu=4)) == []


needs = st.builds(
    Needs, cpu=st.sampled_from([0.5, 1.0, 2.0, 5.0, 8.0, 20.0]), gpu=st.integers(0, 1), memory_bytes=st.sampled_from([None, 10, 600, 1000])
)


@given(st.lists(needs, max_size=12), st.randoms(use_true_random=False))
def test_every_job_runs_within_the_machine_and_none_waits_for_a_later_one(all_needs, random):
    """Simulated to the end: what runs together fits, and the first in the queue waits only for jobs that ran before it was first."""
    waiting = [(str(at), one) for at, one in enumerate(all_needs)]
    running: dict[str, Needs] = {}
    first, waits_for = "", set[str]()
    while waiting or running:
        free = TOTAL
        for one in running.values():
            free = free.minus(one)
        for name in pick(waiting, free, TOTAL):
            running[name] = dict(waiting)[name]
            waiting = [job for job in waiting if job[0] != name]
        assert running, "something always runs"
        assert len(running) == 1 or sum(one.cpu for one in running.values()) <= TOTAL.cpu
        assert sum(one.memory_bytes or 0 for one in running.values()) <= TOTAL.memory_bytes
        assert sum(one.gpu for one in running.values()) <= TOTAL.gpu
        if waiting and waiting[0][0] != first:
            first, waits_for = waiting[0][0], set(running)
        if waiting:
            assert waits_for & set(running), "the first could have started, had no later job passed it"
        del running[random.choice(sorted(running))]


def test_a_job_that_can_never_run_is_refused_by_name():
    assert fits(Needs(cpu=99), TOTAL)
    check_fits("late", Needs(cpu=99, gpu=1, memory_bytes=1000), TOTAL)
    with pytest.raises(WorldError, match="late needs 2 gpu, this target has 1"):
        check_fits("late", Needs(gpu=2), TOTAL)
    with pytest.raises(WorldError, match=r"late needs 4\.0 kB of memory, this target has 1\.0 kB"):
        check_fits("late", Needs(memory_bytes=4000), TOTAL)
