"""The batcher on a real event loop, with a model in place and with processes: gathering, isolation of mistakes, deaths, deadlines."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crew_process import DIES, HANGS, RAISES, REFUSES, SLOW, WIDE

from bedplate.core.errors import UserError, WorldError
from bedplate.core.model import Field, Model, Signature
from bedplate.core.records import Version
from bedplate.planner.batching.breaker import Trust
from bedplate.planner.batching.records import Rules
from bedplate.stages.deploy.batcher import Batcher, Died, OnLoop, Turned
from bedplate.stages.deploy.batchers import Batchers, manned
from bedplate.stages.deploy.crew import Crew, ModelFailed
from bedplate.stages.deploy.deployment import LoadedModel
from bedplate.stages.deploy.runtime import Choice, Equipped, Tried, choice_of

MEMBER = Path(__file__).with_name("crew_process.py")


def rows(*values: float) -> Any:
    return np.array([[value, 1.0] for value in values])


class Doubler:
    """Doubles the first column; refuses 14; keeps the size of each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, matrix: Any) -> Any:
        self.sizes.append(len(matrix))
        if REFUSES in matrix[:, 0]:
            raise UserError("fourteen is refused")
        return 2 * matrix[:, 0]


def on_loop(work: Callable[[Batcher, Doubler], Coroutine[Any, Any, Any]], rules: Rules | None = None) -> Any:
    async def main() -> Any:
        model = Doubler()
        batcher = Batcher(OnLoop(model, time.perf_counter), rules or Rules(), loop=asyncio.get_running_loop(), timer=time.perf_counter)
        return await work(batcher, model)

    return asyncio.run(main())


def test_requests_of_one_turn_are_one_batch_and_each_gets_its_own() -> None:
    """Eleven tasks that ask in the same turn of the loop: one call of the model."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        made = await asyncio.gather(*(batcher.ask(rows(at, at + 0.5)) for at in range(11)))
        assert [one.tolist() for one in made] == [[2 * at, 2 * at + 1] for at in range(11)]
        assert model.sizes == [22]

    on_loop(work)


def test_a_request_larger_than_a_batch_is_answered_whole_and_in_order() -> None:
    """Its rows go in turns, beside a small request that comes with it."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        big, small = await asyncio.gather(batcher.ask(rows(*range(1000))), batcher.ask(rows(5)))
        assert big.tolist() == [2.0 * at for at in range(1000)]
        assert small.tolist() == [10.0]
        assert max(model.sizes) <= 64

    on_loop(work)


def test_a_refused_row_fails_its_own_request_only() -> None:
    """The batch is asked again request by request."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        made = await asyncio.gather(batcher.ask(rows(1)), batcher.ask(rows(REFUSES)), batcher.ask(rows(3)), return_exceptions=True)
        assert isinstance(made[1], UserError)
        assert [made[0].tolist(), made[2].tolist()] == [[2.0], [6.0]]

    on_loop(work)


def test_a_deadline_that_is_over_and_a_full_queue_turn_away_with_what_to_do() -> None:
    """Nothing is predicted for them."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        with pytest.raises(Turned) as late:
            await batcher.ask(rows(1), deadline=time.perf_counter() - 1)
        assert late.value.reason == "late"
        made = await asyncio.gather(*(batcher.ask(rows(at)) for at in range(3)), return_exceptions=True)
        assert [getattr(one, "reason", "") for one in made] == ["", "", "full"]
        assert batcher.turned == 2
        assert model.sizes == [2]

    on_loop(work, Rules(queue=2))


def test_who_is_cancelled_is_not_predicted_for() -> None:
    """A client that goes away before the turn ends costs no row."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        gone = asyncio.ensure_future(batcher.ask(rows(1, 2, 3)))
        stays = asyncio.ensure_future(batcher.ask(rows(4)))
        asyncio.get_running_loop().call_soon(gone.cancel)
        assert (await stays).tolist() == [8.0]
        assert gone.cancelled() or model.sizes == [4]

    on_loop(work)


def test_a_closed_batcher_turns_away() -> None:
    """What comes after is told that the model is put away."""

    async def work(batcher: Batcher, model: Doubler) -> None:
        waits = asyncio.ensure_future(batcher.ask(rows(1)))
        await asyncio.sleep(0)
        batcher.close()
        with pytest.raises(Turned):
            await batcher.ask(rows(1))
        assert isinstance((await asyncio.gather(waits, return_exceptions=True))[0], Turned) or waits.result().tolist() == [2.0]

    on_loop(work)


@pytest.fixture
def crews() -> Iterator[list[Crew]]:
    made: list[Crew] = []
    yield made
    for crew in made:
        crew.close()


def crew_of(crews: list[Crew], size: int = 1, **options: Any) -> Crew:
    told = [sys.executable, str(MEMBER)]
    crew = Crew(
        "late@7", lambda socket, memory: [*told, "--socket", str(socket), "--memory", str(memory)], size,
        timer=time.perf_counter, **options,
    )  # fmt: skip
    crews.append(crew)
    crew.open()
    return crew


def in_crew(crew: Crew, work: Callable[[Batcher], Coroutine[Any, Any, Any]]) -> Any:
    async def main() -> Any:
        loop = asyncio.get_running_loop()
        crew.attach(loop)
        try:
            return await work(Batcher(crew, Rules(together=crew.size), loop=loop, timer=time.perf_counter))
        finally:
            crew.close()

    return asyncio.run(main())


def test_rows_go_to_processes_and_predictions_come_back(crews: list[Crew]) -> None:
    """One value a row, several values a row, and more requests than processes."""

    async def work(batcher: Batcher) -> None:
        made = await asyncio.gather(*(batcher.ask(rows(at)) for at in range(50)))
        assert [one.tolist() for one in made] == [[2.0 * at] for at in range(50)]
        assert (await batcher.ask(rows(WIDE, 2))).tolist() == [[-15.0, -15.0], [2.0, 2.0]]

    in_crew(crew_of(crews, size=2), work)


def test_while_the_model_is_slow_the_loop_is_not(crews: list[Crew]) -> None:
    """The loop turns while a batch is worked on, and what came meanwhile is the next batch."""

    async def work(batcher: Batcher) -> None:
        slow = asyncio.ensure_future(batcher.ask(rows(SLOW)))
        turns = 0
        others = []
        while not slow.done():
            await asyncio.sleep(0.01)
            turns += 1
            if turns <= 10:
                others.append(asyncio.ensure_future(batcher.ask(rows(turns))))
        assert turns > 10
        assert [one.tolist() for one in await asyncio.gather(*others)] == [[2.0 * at] for at in range(1, 11)]
        assert batcher.batches <= 4

    in_crew(crew_of(crews), work)


def test_a_process_that_dies_fails_its_batch_and_is_started_again(crews: list[Crew]) -> None:
    """F61: Whoever was in the batch hears of it with the signal; who waits and who comes later is answered."""
    crew = crew_of(crews)

    async def work(batcher: Batcher) -> None:
        before = crew.pids
        doomed = asyncio.ensure_future(batcher.ask(rows(DIES)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        waits = asyncio.ensure_future(batcher.ask(rows(4)))
        with pytest.raises(Died, match=r"the process that predicted for late@7 died") as died:
            await doomed
        assert "signal 11" in died.value.why
        assert (await waits).tolist() == [8.0]
        assert crew.pids != before
        assert crew.deaths == 1

    in_crew(crew, work)


def test_repeated_deaths_open_the_breaker_and_an_answer_closes_it(crews: list[Crew]) -> None:
    """F61: After two deaths in a row requests are turned away at once; after the pause a new process answers."""
    crew = crew_of(crews, trust=Trust(most=2, pause_s=0.2))

    async def work(batcher: Batcher) -> None:
        for _ in range(2):
            with pytest.raises(Died):
                await batcher.ask(rows(DIES))
        with pytest.raises(Turned) as turned:
            await batcher.ask(rows(1))
        assert turned.value.reason == "down"
        assert 0 < turned.value.retry_s <= 0.2
        while crew.wait_s() > 0:
            await asyncio.sleep(0.02)
        assert (await batcher.ask(rows(1))).tolist() == [2.0]
        assert not crew.breaker.is_open

    in_crew(crew, work)


def test_a_batch_that_takes_too_long_ends_its_process(crews: list[Crew]) -> None:
    """F61: It is killed, and whoever asked hears of it."""

    async def work(batcher: Batcher) -> None:
        with pytest.raises(Died):
            await batcher.ask(rows(HANGS))
        assert (await batcher.ask(rows(1))).tolist() == [2.0]

    in_crew(crew_of(crews, patience_s=0.3), work)


def test_what_the_model_raises_comes_back_as_words(crews: list[Crew]) -> None:
    """A refusal is the caller's mistake, anything else the model's; the process goes on."""
    crew = crew_of(crews)

    async def work(batcher: Batcher) -> None:
        with pytest.raises(UserError, match="fourteen is refused"):
            await batcher.ask(rows(REFUSES))
        with pytest.raises(ModelFailed, match="ValueError: thirteen"):
            await batcher.ask(rows(RAISES))
        made = await asyncio.gather(batcher.ask(rows(RAISES)), batcher.ask(rows(2)), return_exceptions=True)
        assert isinstance(made[0], ModelFailed)
        assert made[1].tolist() == [4.0]
        assert crew.deaths == 0

    in_crew(crew, work)


def test_a_process_that_does_not_come_up_is_an_error_with_its_exit_code() -> None:
    """The server then serves without."""
    crew = Crew("late@7", lambda socket, memory: [sys.executable, str(MEMBER), "--broken"], 1, timer=time.perf_counter)
    with pytest.raises(WorldError, match="did not come up") as error:
        crew.open()
    assert "exit code 3" in error.value.why


def test_closing_ends_the_processes(crews: list[Crew]) -> None:
    """None is left, and none is a zombie."""
    crew = crew_of(crews, size=2)
    processes = [member.process for member in crew._members]
    crew.close()
    for process in processes:
        assert process.wait(10) == 0


class Doubling:
    """What a loaded model's predictor is, as far as a crew needs it."""

    signature = Signature((Field("a", "FP64"), Field("b", "FP64")), (Field("prediction", "FP64"),))

    def matrix(self, columns: dict[str, Any]) -> Any:
        return np.column_stack([columns["a"], columns["b"]])

    def rows(self, matrix: Any) -> Any:
        return 2 * matrix[:, 0]

    def predict(self, columns: dict[str, Any]) -> Any:
        return self.rows(self.matrix(columns))


def heavy(number: int) -> LoadedModel:
    """A version that is too slow for the loop, with a process of its own."""
    tried = Tried(runtime="native", one_us=5000.0, many_us=6000.0, off=0.0)
    choice = Choice(runtime="native", place="workers", tolerance=0.0, tried=(tried,))
    model = Model(predictor=Equipped(Doubling(), Doubling().rows, choice), ref=f"late@{number}")
    model = manned(model, f"late@{number}", lambda runtime: [sys.executable, str(MEMBER)], 1, time.perf_counter)
    version = Version(
        artifact="late",
        kind="model",
        digest=f"sha256:{number:064x}",
        number=number,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        attempt="a-1",
    )
    return LoadedModel(version=version, model=model)


def test_a_version_that_is_replaced_answers_what_it_has_and_its_processes_end() -> None:
    """A promotion while a batch is worked on: the old version's process answers it, then is gone; the new one answers the next."""

    async def work() -> None:
        batchers = Batchers(asyncio.get_running_loop(), time.perf_counter)
        old = heavy(1)
        process = old.model.predictor.crew._members[0].process
        before = batchers.of(old)
        assert before is not None
        slow = asyncio.ensure_future(before.ask(rows(SLOW)))
        await asyncio.sleep(0.05)
        new = heavy(2)
        after = batchers.of(new)
        assert after is not None
        assert batchers.of(new) is after
        del old, before
        assert (await slow).tolist() == [2 * SLOW]
        del slow
        assert (await after.ask(rows(3))).tolist() == [6.0]
        until = time.monotonic() + 30
        while process.poll() is None and time.monotonic() < until:
            await asyncio.sleep(0.02)
        assert process.poll() == 0
        new.model.predictor.crew.close()

    asyncio.run(work())


def test_a_model_whose_process_does_not_come_up_is_asked_by_the_server() -> None:
    """Its choice says why."""
    tried = Tried(runtime="native", one_us=5000.0, many_us=6000.0, off=0.0)
    choice = Choice(runtime="native", place="workers", tolerance=0.0, tried=(tried,))
    model = Model(predictor=Equipped(Doubling(), Doubling().rows, choice), ref="late@1")
    manned(model, "late@1", lambda runtime: [sys.executable, str(MEMBER), "--broken"], 1, time.perf_counter)
    found = choice_of(model)
    assert found is not None
    assert found.place == "loop"
    assert "did not come up" in found.note
