"""The prediction log: bounded, never in the way, and without loss while the bound holds."""

from __future__ import annotations

from collections.abc import Sequence

from bedplate.core.errors import UserError
from bedplate.stages.deploy.recorder import MOST, Prediction, Recorder
from bedplate.testing.serving import START, ManualClock


def prediction(number: int) -> Prediction:
    return Prediction(f"p-{number}", "q", START, 1.0, 200, "", "{}", {"a": number}, None, number)


class Case:
    """A recorder whose logs are lists; `broken` logs fail, `closed` ones refuse for good."""

    def __init__(self, limit: int = 100) -> None:
        self.clock, self.logs, self.broken = ManualClock(), dict[str, list[list[Prediction]]](), set[str]()
        self.closed = set[str]()
        self.told: list[tuple[str, int, str]] = []
        self.recorder = Recorder(self.open, limit=limit, clock=self.clock, lost=lambda *said: self.told.append(said))

    def open(self, name: str):
        def append(batch: Sequence[Prediction]) -> None:
            if name in self.broken:
                raise OSError("the disk is full")
            if name in self.closed:
                raise UserError("'result' is of another type")
            self.logs.setdefault(name, []).append(list(batch))

        return append

    def written(self, name: str) -> list[int]:
        return [one.result for batch in self.logs.get(name, []) for one in batch]


def test_what_does_not_fit_is_counted_and_dropped_and_the_rest_is_kept_in_order() -> None:
    case = Case(limit=10)
    taken = [case.recorder.offer("a", [prediction(number) for number in range(at, at + 4)]) for at in (0, 4, 8)]
    assert taken == [4, 4, 2]
    assert (case.recorder.waiting, case.recorder.dropped) == (10, 2)
    case.recorder.flush()
    assert case.written("a") == list(range(10))
    assert (case.recorder.waiting, case.recorder.written) == (0, 10)


def test_a_failed_append_keeps_its_rows_and_is_tried_again_after_growing_pauses() -> None:
    case = Case()
    case.broken.add("a")
    case.recorder.offer("a", [prediction(1)])
    pauses = []
    for _ in range(4):
        pauses.append(case.recorder.flush())
        case.clock.sleep(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 5.0]
    assert case.recorder.problem == "a cannot be written: OSError: the disk is full"
    case.broken.clear()
    assert case.recorder.flush() == 0.0
    assert case.written("a") == [1]
    assert case.recorder.problem == ""


def test_one_log_that_cannot_be_written_does_not_hold_up_another() -> None:
    case = Case()
    case.broken.add("a")
    case.recorder.offer("a", [prediction(1)])
    case.recorder.offer("b", [prediction(2)])
    case.recorder.flush()
    assert case.written("b") == [2]
    assert case.recorder.waiting == 1


def test_what_a_log_refuses_for_good_is_dropped_and_counted_and_leaves_its_room_to_others() -> None:
    case = Case(limit=2)
    case.closed.add("a")
    case.recorder.offer("a", [prediction(1), prediction(2)])
    assert case.recorder.flush() == 0.0
    assert (case.recorder.waiting, case.recorder.dropped, case.recorder.written) == (0, 2, 0)
    assert case.recorder.problem == "a cannot be written: 'result' is of another type"
    assert case.recorder.offer("b", [prediction(3)]) == 1


def test_a_batch_has_at_most_its_size_and_all_are_written_in_one_flush() -> None:
    case = Case(limit=3 * MOST)
    case.recorder.offer("a", [prediction(number) for number in range(2 * MOST + 1)])
    case.recorder.flush()
    assert [len(batch) for batch in case.logs["a"]] == [MOST, MOST, 1]


def test_close_writes_what_is_left_and_says_how_many_were_lost() -> None:
    case = Case()
    case.recorder.open()
    case.recorder.offer("a", [prediction(1)])
    assert case.recorder.close() == 0
    assert case.written("a") == [1]
    broken = Case()
    broken.broken.add("a")
    broken.recorder.offer("a", [prediction(1), prediction(2)])
    assert broken.recorder.close(patience_s=3.0) == 2


def test_reserved_room_is_nobody_elses_until_it_is_used_or_given_back() -> None:
    case = Case(limit=10)
    assert case.recorder.reserve(8)
    assert not case.recorder.reserve(3)
    assert case.recorder.offer("a", [prediction(number) for number in range(4)]) == 2
    assert case.recorder.offer("a", [prediction(number) for number in range(4, 12)], 8) == 8
    case.recorder.flush()
    assert case.written("a") == [0, 1, *range(4, 12)]
    assert case.recorder.reserve(10)
    case.recorder.release(10)
    assert case.recorder.reserve(10)


def test_what_was_lost_is_told_once_when_the_log_is_written_again() -> None:
    """With what was wrong, and not while it goes on."""
    case = Case(limit=1)
    case.broken.add("a")
    for number in range(3):
        case.recorder.offer("a", [prediction(number)])
        case.recorder.flush()
    assert case.told == []
    case.broken.clear()
    case.clock.sleep(60)
    case.recorder.flush()
    case.recorder.flush()
    assert case.told == [("a", 2, "a cannot be written: OSError: the disk is full")]


def test_what_is_lost_at_the_end_is_told_too() -> None:
    case = Case()
    case.broken.add("a")
    case.recorder.offer("a", [prediction(1), prediction(2)])
    case.recorder.close(patience_s=3.0)
    assert case.told == [("a", 2, "a cannot be written: OSError: the disk is full")]
