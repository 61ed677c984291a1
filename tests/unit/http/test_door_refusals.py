"""Which refusals the audit log is told of."""

from bedplate.interfaces.http.door.refusals import MOST_A_MINUTE, Refusals


def test_the_same_refusal_is_news_once_a_minute() -> None:
    """And of two actors, actions or resources, each is."""
    refusals = Refusals()
    act = ("ann", "run.read", "experiment:1")
    assert [refusals.is_news(act, now) for now in (0.0, 59.0, 60.0, 61.0)] == [True, False, True, False]
    assert refusals.is_news(("bob", *act[1:]), 1.0)
    assert refusals.is_news((*act[:2], "experiment:2"), 1.0)


def test_who_names_ever_new_things_fills_no_log() -> None:
    """Sixty a minute, then none until the minute is over; others are heard all the while."""
    refusals = Refusals()
    told = [refusals.is_news(("ann", "model.read", f"model:{number}"), 1.0) for number in range(10_000)]
    assert sum(told) == MOST_A_MINUTE
    assert refusals.is_news(("bob", "model.read", "model:1"), 1.0)
    assert not refusals.is_news(("ann", "model.read", "model:other"), 60.0)
    assert refusals.is_news(("ann", "model.read", "model:other"), 61.0)


def test_looks_do_not_hide_who_tried_to_change_something() -> None:
    """After sixty looks in a minute at what is not his, the one attempt to run the project is told."""
    refusals = Refusals()
    for number in range(2 * MOST_A_MINUTE):
        refusals.is_news(("ann", "run.read", f"experiment:{number}"), 1.0)
    assert refusals.is_news(("ann", "project.run", "server"), 2.0)
    assert not refusals.is_news(("ann", "run.read", "experiment:x"), 2.0)
