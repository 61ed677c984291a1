"""What becomes of a group after a rank failed: whose fault it was, on how many ranks it goes on, and when it gives up."""

from __future__ import annotations

from bedplate.pipeline.ranks.rules import SAME, End, blamed, judge, silent, spoilt

OK = End(rank=0, how="ok")
DEAD = End(rank=1, how="lost", message="was killed by SIGKILL")
TORN = End(rank=0, how="failed", message="RuntimeError: Connection closed by peer", cause="code")


def test_the_dead_are_named_and_not_those_who_lost_their_partner():
    """The survivor's error is a consequence, in whatever order the two are heard."""
    assert blamed([TORN, DEAD]) == [DEAD]
    verdict = judge([TORN, DEAD], 2, 0, came_further=True)
    assert verdict.why == "rank 1 of 2 was killed by SIGKILL"
    assert verdict.world == 2


def test_who_is_silent_or_waited_for_in_vain_hangs():
    """By no sign of life, or because the others' collective timed out while it went on."""
    silent_one = End(rank=1, how="hung", message="gave no sign of life for 30 s")
    assert blamed([End(rank=0, how="running"), silent_one]) == [silent_one]
    waited = End(rank=0, how="failed", message="RuntimeError: Timed out waiting 30000ms for recv", cause="code")
    (found,) = blamed([waited, End(rank=1, how="running")])
    assert (found.rank, found.how) == (1, "hung")
    assert silent({0: 10.0, 1: 2.0}, now=12.5, timeout_s=10.0) == [1]


def test_what_rank_0_has_made_counts_only_if_no_other_failed_by_itself():
    """A rank that died or raised has not done its part; one that was left behind when rank 0 had ended has."""
    assert spoilt([OK, DEAD])
    assert spoilt([OK, End(rank=1, how="hung")])
    assert spoilt([OK, End(rank=1, how="failed", message="ValueError: my share failed", cause="code")])
    assert not spoilt([OK, End(rank=1, how="failed", message=TORN.message, cause="code")])
    assert not spoilt([OK, End(rank=1, how="ok"), End(rank=2, how="running")])


def test_an_error_of_the_code_ends_the_step():
    """Beginning again would only repeat it."""
    broken = End(rank=1, how="failed", message="ValueError: no rows", cause="code")
    verdict = judge([End(rank=0, how="running"), broken], 2, 0, came_further=False)
    assert (verdict.world, verdict.cause) == (0, "code")
    assert verdict.why == "rank 1 of 2: ValueError: no rows"
    assert blamed([TORN, broken]) == [broken]


def test_a_group_that_comes_no_further_goes_on_with_one_rank_fewer_and_then_gives_up():
    """Failures in a row without a newer checkpoint count; one that came further begins the count again."""
    fails = 0
    for _ in range(SAME - 1):
        verdict = judge([TORN, DEAD], 2, fails, came_further=False)
        assert verdict.world == 2
        fails = verdict.fails
    assert judge([TORN, DEAD], 2, fails, came_further=True).world == 2
    fewer = judge([TORN, DEAD], 2, fails, came_further=False)
    assert (fewer.world, fewer.fails) == (1, 0)
    alone = End(rank=0, how="lost", message="was killed by SIGKILL")
    assert judge([alone], 1, SAME - 1, came_further=False) == judge([alone], 1, SAME - 1, came_further=False)
    assert judge([alone], 1, SAME - 1, came_further=False).world == 0
