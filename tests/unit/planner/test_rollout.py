"""Roll-outs: whom a rule takes, and when outcomes end one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.core.errors import UserError
from bedplate.planner.rollout.rule import Rule, asked, drawn, read
from bedplate.planner.rollout.verdict import LEAST, Decision, Outcome, Side, Standing, decide, fault, lower

GOOD = Outcome(0.001)
FAILED = Outcome(0.001, failed=True)
EMPTY = Outcome(0.001, empty=True)
SLOW = Outcome(0.5)
APART = Outcome(0.001, apart=True)
BAD = {"failed": FAILED, "no numbers": EMPTY, "longer": SLOW, "too far": APART}
RULE = Rule(share=0.05, time_s=1800.0)
FRESH = Standing()

keys = st.from_regex(r"(header:)?[a-z_][a-z0-9_.-]{0,12}", fullmatch=True)
rules = st.builds(
    Rule,
    share=st.integers(1, 1000).map(lambda part: part / 1000),
    time_s=st.sampled_from([0.0, 0.5, 30.0, 90.0, 1800.0, 3600.0, 5400.0, 86400.0, 100000.0]),
    within=st.sampled_from([0.0, 0.1, 1e-9, 25.0]),
    by=st.just("") | keys,
)


@given(rules)
def test_a_rule_is_read_as_it_is_written(rule: Rule) -> None:
    assert read(rule.text) == rule


@given(rules, keys, st.text())
def test_so_is_one_with_any_value_that_is_looked_for(rule: Rule, where: str, value: str) -> None:
    """A value may hold spaces, equals signs and lines: it is the last word of the rule."""
    whole = Rule(share=rule.share, time_s=rule.time_s, by=rule.by, where=where, value=value)
    assert read(whole.text) == whole


def test_what_a_person_asks_for_becomes_a_rule() -> None:
    rule = asked("5 %", "30 min", by="Header:X-User", where="carrier=U A=1")
    assert rule.text == "5 % for 30 min by header:x-user where carrier=U A=1"
    assert asked("0.25").text == "25 %"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"part": "5 % of all"}, "not a share"),
        ({"part": "0 %"}, "to no request"),
        ({"part": "5 %", "time": "soon"}, "duration"),
        ({"part": "5 %", "by": "a b"}, "no field and no header"),
        ({"part": "5 %", "where": "carrier"}, "says no value"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(words: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        asked(**words)


@pytest.mark.parametrize("text", ["", "better", "5 %%", "5", "500 %", "5 % for 3 moons", "5 % sometimes", "1.2.3 %", "5 % within e+-"])
def test_what_is_no_rule_is_none(text: str) -> None:
    """The name of a check stands in the same place, and never is one."""
    assert read(text) is None


@given(st.text(), st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_key_always_gets_the_same_and_who_was_in_stays_in(salt: str, key: str, one: float, other: float) -> None:
    small, large = sorted((one, other))
    assert Rule(share=small).takes(salt, key) == Rule(share=small).takes(salt, key)
    assert Rule(share=small).takes(salt, key) <= Rule(share=large).takes(salt, key)
    assert Rule(share=1.0).takes(salt, key)
    assert not Rule(share=0.0).takes(salt, key)


def test_draws_are_the_same_for_ever() -> None:
    """Another machine, another bedplate, another Python: the same users."""
    assert [round(drawn("late@7", key), 12) for key in ("", "UA", "user-1")] == [0.909080916921, 0.89505462754, 0.791403918409]


def test_a_share_is_that_share_of_the_keys_and_other_users_for_the_next_version() -> None:
    people = [f"user-{number}" for number in range(20_000)]
    first = {one for one in people if Rule(share=0.05).takes("late@7", one)}
    second = {one for one in people if Rule(share=0.05).takes("late@8", one)}
    assert len(first) == pytest.approx(1000, abs=120)
    assert len(first & second) == pytest.approx(50, abs=35)


def test_only_requests_with_the_value_are_taken() -> None:
    rule = Rule(share=1.0, where="carrier", value="UA")
    assert rule.takes("late@7", "any", "UA")
    assert not rule.takes("late@7", "any", "AA")


def side(bad: Outcome, of_new: int, new: int, of_old: int = 0, old: int = 400, limit_s: float = 0.02) -> Side:
    """`of_new` of `new` outcomes are bad, `of_old` of `old` of production."""
    return Side(new=[bad] * of_new + [GOOD] * (new - of_new), old=[bad] * of_old + [GOOD] * (old - of_old), limit_s=limit_s)


@pytest.mark.parametrize("what", BAD)
def test_each_way_to_be_bad_is_a_fault_in_words(what: str) -> None:
    assert what in fault(side(BAD[what], 10, 10))


@pytest.mark.parametrize("what", BAD)
@given(few=st.integers(0, 2), new=st.integers(2, 500))
def test_one_or_two_bad_answers_are_none(what: str, few: int, new: int) -> None:
    assert fault(side(BAD[what], few, new)) == ""


@given(st.sampled_from([FAILED, EMPTY, SLOW]), st.integers(0, 400), st.integers(1, 400))
def test_what_production_does_as_often_is_none(bad: Outcome, often: int, new: int) -> None:
    """The same rate on both sides is never held against the new version, whatever the rate."""
    assert fault(side(bad, round(often / 400 * new * 0.999 - 0.5) if often else 0, new, often)) == ""


@given(st.sampled_from([FAILED, EMPTY, SLOW, APART]), st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
def test_more_bad_answers_are_never_better(bad: Outcome, one: int, other: int, new: int) -> None:
    few, many = sorted((min(one, new), min(other, new)))
    assert bool(fault(side(bad, few, new))) <= bool(fault(side(bad, many, new)))


def test_without_a_declared_limit_production_says_what_is_slow() -> None:
    """Three times its p95; while too few requests say what that is, nothing is slow."""
    assert "longer than 20 ms" in fault(side(SLOW, 20, 20, limit_s=0.0))
    assert fault(side(SLOW, 20, 20, old=LEAST - 1, limit_s=0.0)) == ""


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_lower_end_is_below_the_rate(bad: int, more: int) -> None:
    of = bad + more
    assert 0.0 <= lower(bad, of) <= (bad / of if of else 0.0) + 1e-12


def look(one: Side, standing: Standing = FRESH, age_s: float = 10.0, *, promotes: bool = True, rule: Rule = RULE) -> Decision:
    return decide(rule, {"will_be_late": one}, standing, age_s, promotes=promotes)


def test_it_must_look_bad_twice_in_a_row() -> None:
    bad, good = side(FAILED, 10, 10), side(FAILED, 0, 200)
    first = look(bad)
    assert (first.do, look(bad, first.standing).do) == ("go on", "roll back")
    between = look(good, first.standing)
    assert look(bad, between.standing).do == "go on"
    assert "will_be_late: 10 of 10 answers failed (production: 0 of 400)" in look(bad, first.standing).why


def test_it_is_promoted_after_its_time_on_enough_requests() -> None:
    good = side(FAILED, 0, LEAST)
    assert look(good, age_s=1799.0).do == "go on"
    assert look(good, age_s=1800.0).do == "promote"
    assert "fewer than 50" in look(side(FAILED, 0, LEAST - 1), age_s=9999.0).why
    assert look(good, age_s=9999.0, promotes=False).do == "go on"
    assert look(good, age_s=9999.0, rule=Rule(share=0.5)).do == "go on"


def test_a_doubt_starts_its_time_anew() -> None:
    doubted = look(side(FAILED, 10, 10), age_s=1000.0).standing
    calm = look(side(FAILED, 0, LEAST), doubted, age_s=1800.0)
    assert calm.do == "go on"
    assert look(side(FAILED, 0, LEAST), calm.standing, age_s=2800.0).do == "promote"


@given(st.lists(st.tuples(st.sampled_from(["good", "bad", "few"]), st.floats(0.5, 600)), max_size=30))
def test_nothing_bad_is_ever_promoted_and_nothing_good_rolled_back(looks: list[tuple[str, float]]) -> None:
    """Over any course: back only at a second bad look in a row, forward only on enough requests and a whole calm time."""
    sides = {"good": side(FAILED, 0, LEAST), "bad": side(FAILED, 30, 60), "few": side(FAILED, 0, 3)}
    standing, age, doubted, before = Standing(), 0.0, 0.0, ""
    for what, seconds in looks:
        age += seconds
        made = look(sides[what], standing, age)
        assert (made.do == "roll back") == (what == before == "bad")
        assert (made.do == "promote") == (what == "good" and age - doubted >= RULE.time_s)
        if made.do != "go on":
            return
        doubted = age if what == "bad" else doubted
        standing, before = made.standing, what


def test_one_bad_service_is_enough() -> None:
    sides = {"calm": side(FAILED, 0, 900), "hurt": side(FAILED, 9, 9)}
    assert decide(RULE, sides, Standing(1), 5000.0, promotes=True).why.startswith("hurt: ")
