"""One executor for run after run, where somebody keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.compute.inline import InlineExecutor
from bedplate.pipeline.warm import Warm


class Counted(InlineExecutor):
    """Says whether it was closed."""

    def __init__(self) -> None:
        super().__init__(lambda payload, report: payload)
        self.closed = False

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def made() -> list[Counted]:
    return []


@pytest.fixture
def warm(made: list[Counted]) -> Warm:
    def make() -> Counted:
        made.append(Counted())
        return made[-1]

    return Warm(make)


def use(warm: Warm) -> Any:
    with warm.executor() as executor:
        return executor


def test_without_being_kept_each_run_has_its_own_which_ends_with_it(warm: Warm, made: list[Counted]) -> None:
    assert use(warm) is not use(warm)
    assert [one.closed for one in made] == [True, True]


def test_kept_it_serves_run_after_run_until_it_is_cooled(warm: Warm, made: list[Counted]) -> None:
    """And the next run then makes another, which is kept again."""
    warm.keep()
    assert use(warm) is use(warm)
    assert not made[0].closed
    warm.cool()
    warm.cool()
    assert made[0].closed
    assert use(warm) is use(warm) is made[1]


def test_a_run_that_raised_takes_its_executor_with_it(warm: Warm, made: list[Counted]) -> None:
    """Jobs of it may still be there."""
    warm.keep()
    with pytest.raises(KeyError), warm.executor():
        raise KeyError
    assert made[0].closed
    assert use(warm) is made[1]


def test_a_run_within_a_run_has_its_own(warm: Warm, made: list[Counted]) -> None:
    """As where a step of this process opens the same project again; the last to end is closed or kept, none is left."""
    warm.keep()
    with warm.executor() as outer:
        assert use(warm) is not outer
    warm.cool()
    assert all(one.closed for one in made)
