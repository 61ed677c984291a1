"""What may be chosen and what is said of it: prices that no row has, machines reclaimed at will, alike times, limits and their distance."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Finetune, Limits, Serve, Train
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.estimate import exact
from bedplate.planner.search.common import metered
from bedplate.planner.search.offers import offers
from bedplate.planner.search.pick import Constraint, conflict, pick, ranked
from bedplate.planner.search.size import size
from bedplate.planner.showing.words import offer

KNOWN = knowledge(None)
SMALL = "llama-3.1-8b"


def trained(**limits: Any) -> Sizing:
    return size(Train(model=SMALL, tokens=1e10, limits=Limits(**limits)), KNOWN)


def made(name: str, hours: float, usd: float, term: str = "on-demand", **more: float) -> Design:
    quantities = {"time_s": exact(hours * 3600), "cost_usd": exact(usd)} | {key: exact(value) for key, value in more.items()}
    return Design(name=name, accelerator=name, term=term, quantities=quantities)


def test_a_country_that_no_row_sells_in_gets_no_machine_without_a_price() -> None:
    """H100 have prices, but none in Germany on demand: nothing is on offer there, which is no machine that costs nothing."""
    with pytest.raises(UserError) as caught:
        trained(on=("h100",), residency=("DE",))
    assert "no machine is on offer" in caught.value.what
    assert "DE" in caught.value.why


def test_a_node_that_is_only_bought_is_rented_as_the_instances_of_as_many_of_its_accelerators() -> None:
    bought, chip = trained(on=("dgx-h100",), gpus=1024).best, trained(on=("h100",), gpus=1024).best
    assert bought is not None
    assert chip is not None
    assert bought.quantities["cost_usd"].value == pytest.approx(chip.quantities["cost_usd"].value)


def test_a_machine_that_no_row_has_a_price_of_says_so_in_the_answer_and_in_the_conflict() -> None:
    free = trained(on=("h800",), gpus=64)
    assert "no price of H800-SXM5-80GB is known: there is no money in this answer" in free.warnings
    assert trained(on=("h800",), gpus=64, budget_usd=1e4).conflict == ("budget: at most 10,000 USD (no price of H800-SXM5-80GB is known)",)


def test_machines_reclaimed_at_will_are_shown_and_chosen_only_where_they_are_asked_for() -> None:
    question = Finetune(model=SMALL, limits=Limits(on=("a100",), gpus=8))
    plain = size(question, KNOWN)
    asked = size(msgspec.structs.replace(question, limits=Limits(on=("a100",), gpus=8, terms=("spot",))), KNOWN)
    assert plain.best is not None
    assert plain.best.term == "on-demand"
    assert plain.runner_up is None or plain.runner_up.term != "spot"
    assert "spot" in {design.term for design in plain.options}
    assert asked.best is not None
    assert asked.best.term == "spot"
    assert any("taken away at any time" in told for told in asked.warnings)


def test_of_times_that_are_alike_the_cheapest_is_taken() -> None:
    """35.9 and 36.1 minutes are the same time; 40 are not."""
    ways = [made("quick", 0.60, 80), made("near", 0.62, 24), made("slow", 0.70, 5)]
    assert [design.name for design in ranked(ways, "time_s")] == ["near", "quick", "slow"]
    assert [design.name for design in ranked(ways, "cost_usd")] == ["slow", "near", "quick"]


def test_fewer_of_the_same_machine_that_are_slower_and_dearer_are_no_runner_up() -> None:
    whole = msgspec.structs.replace(made("a", 10, 100), n_accel=8)
    half = msgspec.structs.replace(made("a", 20, 200), n_accel=4)
    cheap = msgspec.structs.replace(made("a", 20, 90), n_accel=4)
    assert pick([whole, half], [], "time_s").runner_up is None
    second = pick([whole, half, cheap], [], "time_s").runner_up
    assert second is not None
    assert second.quantities["cost_usd"].value == 90


def test_two_limits_that_contradict_say_how_far_each_is_with_the_other_kept() -> None:
    """12 h draw 1 MW, 8 h draw 3 MW: with 10 h and 2 MW the time lacks a fifth, the power a half."""
    ways = [made("a", 12, 1, power_max_w=1e6), made("b", 8, 1, power_max_w=3e6)]
    limits = [
        Constraint(name="deadline", quantity="time_s", limit=10 * 3600, told="within 10 h"),
        Constraint(name="power", quantity="power_max_w", limit=2e6, told="at most 2 MW at any time"),
    ]
    assert conflict(ways, limits) == (
        "deadline: within 10 h (with power kept, the least is 1.20 times that)",
        "power: at most 2 MW at any time (with deadline kept, the least is 1.50 times that)",
    )


def test_a_price_that_no_row_states_is_said_in_the_first_line() -> None:
    found = trained(on=("p5.48xlarge",), gpus=8, terms=("reserved-3y",)).best
    assert found is not None
    assert offer(found).endswith("reserved-3y, price assumed: on-demand less 50%")
    stated = trained(on=("p5.48xlarge",), gpus=8).best
    assert stated is not None
    assert "price" not in offer(stated)


def test_who_waits_draws_what_idle_nodes_draw() -> None:
    """By hand: 8 H100 at 700 W in a DGX H100 of 10.2 kW: busy 7.56 kW times PUE; idle 0.25 x 10.2 kW; half of the time each, the mean."""
    systems = KNOWN.systems
    (rented,) = offers(Limits(on=("dgx-h100",), terms=("on-demand",), providers=("nebius",)), systems, ())
    at_work = exact(8 * 700.0)
    watts = [metered(at_work, rented, 8, systems, busy).value / rented.pue for busy in (1.0, 0.5, 0.0)]
    assert watts == pytest.approx([7560.0, (7560.0 + 2550.0) / 2, 2550.0])
    assert metered(exact(8 * 900.0), rented, 8, systems).high / rented.pue == pytest.approx(7560.0)


def test_steps_that_wait_for_the_storage_draw_little() -> None:
    def drawn(gbs: float) -> dict[str, float]:
        question = Train(model="resnet-50", items=1e8, epochs=90, storage_gbs=gbs, limits=Limits(on=("h100",), gpus=1024))
        found = size(question, KNOWN).best
        assert found is not None
        return {name: found.quantities[name].value for name in ("power_w", "input_stall", "power_max_w")}

    starved, fed = drawn(1), drawn(2000)
    assert starved["input_stall"] > 0.99
    assert starved["power_w"] == pytest.approx(0.25 * starved["power_max_w"], rel=0.05)
    assert fed["power_w"] > 2 * starved["power_w"]


def test_a_service_that_hardly_works_draws_little() -> None:
    def drawn(rate: float) -> float:
        found = size(Serve(model=SMALL, isl=2000, osl=300, rate=rate, limits=Limits(on=("h100",), gpus=8)), KNOWN).best
        assert found is not None
        return found.quantities["power_w"].value

    assert drawn(0.01) < 0.5 * drawn(20)


def test_a_run_says_what_it_keeps() -> None:
    """70.6e9 weights of 14 bytes are 0.99 TB, within 60 s 16.5 GB/s; 2T tokens of 4 bytes are 8 TB; adapters alone take megabytes."""
    run = size(Train(model="llama-3.1-70b", tokens=2e12, limits=Limits(on=("h100",), gpus=512)), KNOWN).best
    tuned = size(Finetune(model=SMALL, limits=Limits(on=("h100",), gpus=8)), KNOWN).best
    assert run is not None
    assert tuned is not None
    kept = {name: run.quantities[name].value for name in ("checkpoint_bytes", "storage_write_gbs", "data_bytes")}
    assert kept == pytest.approx({"checkpoint_bytes": 0.988e12, "storage_write_gbs": 16.5, "data_bytes": 8e12}, rel=0.01)
    assert tuned.quantities["checkpoint_bytes"].value < 1e9


def test_a_run_names_its_engine() -> None:
    tuned = size(Finetune(model=SMALL, limits=Limits(on=("h100",), gpus=8)), KNOWN).best
    run = trained(on=("h100",), gpus=8).best
    assert tuned is not None
    assert run is not None
    assert (tuned.layout["engine"], run.layout["engine"]) == ("pytorch", "megatron")
