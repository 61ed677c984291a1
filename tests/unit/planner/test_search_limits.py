"""What limits leave: a design that breaks one never calls itself feasible, and what no row sells is not taken for on demand."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Cost, Finetune, Limits, Serve, Site, Train
from bedplate.planner.search.offers import offers
from bedplate.planner.search.size import size

KNOWN = knowledge(None)


def _train(**given: Any) -> Train:
    limits = {"on": ("h100",), **given.pop("limits", {})}
    return Train(**{"model": "llama-3.1-8b", "tokens": 1e11, **given}, limits=Limits(**limits))


def _serve(**given: Any) -> Serve:
    return Serve(**{"model": "llama-3.1-8b", "isl": 100.0, "osl": 10.0, **given}, limits=Limits(on=("h100",)))


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (_train(batch_tokens=1e300), "batch_tokens is 1e+300"),
        (_train(batch_tokens=1e12), "more than any run had"),
        (Train(model="resnet-50", items=1e6, epochs=1e300), "epochs is 1e+300"),
        (_train(epochs=float("nan")), "epochs is nan"),
        (_train(limits={"gpus": 8, "max_gpus": 4}), "cannot be met together"),
        (Finetune(model="llama-3.1-8b", rank=100_000, limits=Limits(on=("h100",))), "wider than Llama-3.1-8B"),
        (_train(limits={"providers": ("AWS",)}), "no provider 'AWS'"),
        (_train(limits={"on": ("GB200-186GB",), "terms": ("reserved-3y",)}), "no machine is on offer"),
        (Batch(model="llama-3.1-8b", isl=100, osl=10, requests=1e3, limits=Limits(on=("GB200-186GB",), providers=("aws",))), "on offer"),
        (_serve(rate=1.0, quiet_rate=4.0), "quiet_rate is 4"),
        (_serve(rate=1e-30), "rate is 1e-30"),
        (Batch(model="llama-3.1-8b", isl=100, osl=10, requests=0.1), "requests is 0.1"),
        (Cost(node="dgx-h100", limits=Limits(providers=("nope",))), "no provider 'nope'"),
        (Cost(node="dgx-h100", count=10**23), "are no machines"),
        (Cost(node="dgx-h100", load=(1e300,)), "load is 1e+300"),
        (Cost(node="dgx-h100", load=(1e9,)), "no number of nodes"),
        (Site(node="dgx-h100", nodes=16, oversubscription=float("nan")), "oversubscription is nan"),
        (Site(node="dgx-h100", nodes=16, oversubscription=1e6), "oversubscription 1e+06"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_asked_is_refused_by_its_name(question: Any, said: str) -> None:
    with pytest.raises(UserError) as caught:
        size(question, KNOWN)
    assert said in caught.value.what


def test_where_nothing_keeps_the_limits_no_design_of_the_front_calls_itself_feasible() -> None:
    found = size(_train(limits={"budget_usd": 1.0}), KNOWN)
    assert found.best is None
    assert found.conflict
    assert not any(design.feasible for design in (*found.front, *found.options))


@pytest.mark.parametrize("node", ["dgx-h100", "dgx-gb200-nvl72"])
def test_a_bought_machine_is_housed_as_size_site_houses_it(node: str) -> None:
    """The same power usage effectiveness, and the same money to be invested in a node with its installation, in every verb."""
    housed = size(Site(node=node, nodes=16), KNOWN).best
    chip = KNOWN.systems.node(node).accelerator
    (offer,) = offers(Limits(on=(chip,), terms=("buy",)), KNOWN.systems, ("buy",))
    paid = size(Cost(node=node, limits=Limits(terms=("buy",))), KNOWN).best
    assert housed is not None
    assert paid is not None
    assert offer.pue == housed.quantities["pue"].value
    assert offer.capex_usd == pytest.approx(paid.quantities["capex_usd"].value)


def test_a_site_that_cannot_be_ready_is_told_the_way_that_is_ready_first() -> None:
    found = size(Site(node="dgx-h100", nodes=128, limits=Limits(by_s=86400.0)), KNOWN)
    soonest = min(
        design.quantities["time_s"].value for design in found.options if "cost_usd" in design.quantities and design.provider == "own"
    )
    told = next(line for line in found.conflict if line.startswith("deadline"))
    assert f"needs {soonest / (7 * 86400):,.0f} weeks" in told
    assert "deadline 0.143 weeks" in told


def test_a_number_that_no_large_group_of_experts_divides_gets_the_fewer_that_are_quicker() -> None:
    """264 is 8 x 33: experts lie on 8 accelerators and there is one stage; 256 leaves both free."""
    odd, round_ = (_train(model="deepseek-v3", tokens=1e12, limits={"gpus": number}) for number in (264, 256))
    assert any(told.startswith("fewer accelerators are quicker: 256 take") for told in size(odd, KNOWN).warnings)
    assert not any("fewer accelerators" in told for told in size(round_, KNOWN).warnings)
    dense = _train(model="llama-3.1-8b", limits={"gpus": 264})
    assert not any("fewer accelerators" in told for told in size(dense, KNOWN).warnings)


def test_a_reserved_price_that_no_row_states_is_said_to_be_assumed() -> None:
    """By the rows of figures.csv: on-demand less 30 % for a year, less 50 % for three."""
    found = size(Cost(node="p5.48xlarge", limits=Limits(terms=("on-demand", "reserved-1y"))), KNOWN)
    reserved = next(design for design in found.options if design.term == "reserved-1y")
    assert reserved.layout["price"] == "assumed: on-demand less 30%"
    assert any("reserved-1y" in told and "assumed" in told for told in found.warnings)
    assert not any("price" in design.layout for design in found.options if design.term == "on-demand")
    (offer,) = offers(Limits(on=("p5.48xlarge",), terms=("reserved-3y",)), KNOWN.systems, ())
    assert (offer.assumed, offer.verified) == ("assumed: on-demand less 50%", False)
    (listed,) = offers(Limits(on=("p5.48xlarge",), terms=("on-demand",)), KNOWN.systems, ())
    assert listed.assumed == ""


def test_a_models_name_may_be_spelt_with_other_signs() -> None:
    assert KNOWN.architecture("flux-1-dev").name == "FLUX.1-dev"
