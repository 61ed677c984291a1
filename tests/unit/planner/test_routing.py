"""Which replica gets a request: what holds for every standing (properties), and what it does under a clock of numbers (cases)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bedplate.planner.batching.breaker import Trust
from bedplate.planner.routing.again import Lost, may_again
from bedplate.planner.routing.choose import choose
from bedplate.planner.routing.records import Hold, Home, Place, Refuse, Rules, Send, Standing

RULES = Rules(most=8, held=4)
places = st.builds(Place, zone=st.sampled_from(["", "a", "b"]), region=st.sampled_from(["", "eu", "us"]))
standings = st.lists(
    st.builds(
        Standing,
        name=st.uuids().map(str),
        place=places,
        is_ours=st.booleans(),
        state=st.sampled_from(["ready", "waiting", "suspect", "starting", "draining", "gone"]),
        running=st.integers(0, 9),
        failures=st.integers(0, 5),
        closed_until=st.floats(0, 20),
        turn=st.integers(0, 100),
    ),
    max_size=8,
)
homes = st.builds(Home, place=places, regions=st.sampled_from([(), ("eu",), ("eu", "us")]))


@given(standings, homes, st.floats(0, 20), st.integers(0, 6), st.booleans())
def test_who_is_sent_a_request_may_have_it(fleet: list[Standing], home: Home, now: float, held: int, more: bool) -> None:
    """Never outside the allowed regions, to one that does not answer, is full, or is left alone; and never past one with fewer in hand
    that is as near and as well.
    """
    chosen = choose(fleet, now, home, RULES, held=held, more=more)
    able = [one for one in fleet if one.state in ("ready", "waiting", "suspect") and one.running < RULES.most and home.allows(one.place)]
    able = [one for one in able if one.failures < RULES.trust.most or (now >= one.closed_until and not one.running)]
    assert isinstance(chosen, Send) == bool(able)
    if not isinstance(chosen, Send):
        return
    got = fleet[chosen.at]
    assert got in able
    alike = [one for one in able if (one.state, home.distance(one.place)) == (got.state, home.distance(got.place))]
    assert got.running == min(one.running for one in alike)
    if got.state != "ready":
        assert not [one for one in able if one.state == "ready"]
    assert home.distance(got.place) == min(home.distance(one.place) for one in able if one.state == got.state)


@given(standings, homes, st.floats(0, 20), st.integers(0, 6))
def test_a_request_is_held_only_while_somebody_starts(fleet: list[Standing], home: Home, now: float, held: int) -> None:
    chosen = choose(fleet, now, home, RULES, held=held)
    if isinstance(chosen, Hold):
        assert held < RULES.held
        assert [one for one in fleet if one.state == "starting" and home.allows(one.place)]
    if isinstance(chosen, Refuse):
        assert chosen.retry_s >= 1.0


def test_equals_have_turns_and_the_one_with_fewer_in_hand_is_next() -> None:
    fleet = [Standing("a"), Standing("b"), Standing("c")]
    for turn in range(1, 10):
        at = sent(fleet, turn)
        assert fleet[at].running == (turn + 2) // 3
    fleet[1] = fleet[1].answered().left()
    assert sent(fleet, 10) == 1


def test_the_zone_comes_first_then_the_region_then_an_allowed_one_and_nothing_else() -> None:
    home = Home(place=Place(zone="a", region="eu"), regions=("eu", "us"))
    near, beside = Standing("near", Place(zone="a", region="eu")), Standing("beside", Place(zone="b", region="eu"))
    far, outside = Standing("far", Place(zone="a", region="us")), Standing("outside", Place(zone="a", region="asia"))
    fleet = [outside, far, beside, near]
    order = []
    while isinstance(chosen := choose(fleet, 0.0, home, RULES), Send):
        order.append(fleet[chosen.at].name)
        fleet[chosen.at] = fleet[chosen.at].seen("gone")
    assert order == ["near", "beside", "far"]
    assert chosen == Refuse("away")
    assert choose([outside], 0.0, home, RULES) == Refuse("outside")


def test_full_ones_spill_over_to_the_next_nearest_and_then_nobody_waits() -> None:
    home = Home(place=Place(zone="a", region="eu"))
    fleet = [Standing("near", home.place), Standing("beside", Place(zone="b", region="eu"))]
    got = [sent(fleet, turn, home) for turn in range(2 * RULES.most)]
    assert got == [0] * RULES.most + [1] * RULES.most
    assert choose(fleet, 0.0, home, RULES) == Refuse("full")


def test_one_that_fails_is_left_alone_tried_with_one_request_and_taken_back() -> None:
    """Under a clock of numbers: three failures, a pause, half open, a failure doubles the pause, an answer closes the breaker."""
    trust = Trust(most=3, pause_s=1.0)
    rules, one, now = Rules(trust=trust), Standing("a"), 100.0
    for _ in range(3):
        one = one.sent(1).failed(trust, now, "ready").left()
    assert choose([one], now, Home(), rules) == Refuse("ejected", 1.0)
    assert isinstance(choose([one], now + 1.0, Home(), rules), Send)
    asked = one.sent(2)
    assert not isinstance(choose([asked], now + 1.0, Home(), rules), Send)
    again = asked.failed(trust, now + 1.0, "ready").left()
    assert choose([again], now + 1.5, Home(), rules) == Refuse("ejected", 1.5)
    back = again.sent(3).answered().left()
    assert (back.failures, back.running) == (0, 0)
    assert isinstance(choose([back], now + 1.5, Home(), rules), Send)


def test_who_had_a_request_gets_it_again_only_where_nobody_else_does() -> None:
    fleet = [Standing("a"), Standing("b", running=5)]
    assert choose(fleet, 0.0, Home(), RULES, tried=("a",)) == Send(1)
    assert choose(fleet[:1], 0.0, Home(), RULES, tried=("a",)) == Send(0)


@given(st.text(min_size=1), st.lists(st.integers(0, 7), min_size=3, max_size=3))
def test_a_request_under_a_key_goes_where_the_last_one_went_whatever_is_in_hand(key: str, running: list[int]) -> None:
    """And only the keys of one that has gone go elsewhere."""
    fleet = [Standing(name) for name in "abc"]
    first = choose(fleet, 0.0, Home(), RULES, key=key)
    busy = [Standing(one.name, running=count) for one, count in zip(fleet, running, strict=True)]
    assert choose(busy, 0.0, Home(), RULES, key=key) == first
    assert isinstance(first, Send)
    other = (first.at + 1) % 3
    fleet[other] = fleet[other].seen("gone")
    assert choose(fleet, 0.0, Home(), RULES, key=key) == first


def test_keys_are_spread() -> None:
    fleet = [Standing(name) for name in "ab"]
    got = [choose(fleet, 0.0, Home(), RULES, key=f"k{at}") for at in range(200)]
    assert 60 < got.count(Send(0)) < 140


def test_nobody_there_and_more_can_be_started_holds_so_many() -> None:
    assert choose([], 0.0, Home(), RULES, more=True) == Hold()
    assert choose([], 0.0, Home(), RULES, more=True, held=RULES.held) == Refuse("full")
    assert choose([], 0.0, Home(), RULES) == Refuse("away")


@pytest.mark.parametrize(
    ("lost", "may"),
    [
        (Lost(method="POST", offered=1, sent=0, was_sent=False), True),
        (Lost(method="POST", offered=8, sent=0, was_sent=False), False),
        (Lost(method="GET", offered=1, sent=1, was_sent=True), True),
        (Lost(method="POST", offered=1, sent=1, was_sent=True), False),
        (Lost(method="POST", offered=1, sent=1, was_sent=True, has_ended=True), True),
        (Lost(method="POST", offered=3, sent=3, was_sent=True, has_ended=True), False),
        (Lost(method="GET", offered=1, sent=1, was_sent=True, is_begun=True), False),
        (Lost(method="POST", offered=2, sent=1, was_sent=False), True),
    ],
)
def test_a_request_goes_to_another_only_where_nothing_is_done_twice(lost: Lost, may: bool) -> None:
    assert may_again(lost, RULES) is may


def sent(fleet: list[Standing], turn: int, home: Home | None = None) -> int:
    """Send one more request, and say where it went."""
    chosen = choose(fleet, 0.0, home or Home(), RULES)
    assert isinstance(chosen, Send)
    fleet[chosen.at] = fleet[chosen.at].sent(turn)
    return chosen.at
