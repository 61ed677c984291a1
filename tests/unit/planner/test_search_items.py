"""Images, videos and embeddings as a service and offline: the queue, the memory, and what must hold of every answer."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Limits, Serve
from bedplate.planner.asking.sizing import Design, Sizing
from bedplate.planner.facts.cases import Case, ModelName, Parallel
from bedplate.planner.generation.answering import answer
from bedplate.planner.generation.memory import held
from bedplate.planner.generation.work import Request
from bedplate.planner.kernels.queue import servers_for, wait
from bedplate.planner.search import size
from bedplate.planner.search.generation import replicas
from bedplate.planner.search.kinds import suited
from bedplate.planner.search.offers import offers

KNOWN = knowledge()
H100 = Limits(on=("H100-SXM5-80GB",), terms=("on-demand",))
FLUX = Serve(model="FLUX.1-dev", rate=2, latency_s=15, limits=H100)
VIDEO = Serve(model="HunyuanVideo", rate=0.01, frames=61, limits=H100)
TEXTS = Serve(model="BERT-Base", rate=10_000, latency_s=0.05, isl=128, limits=H100)
MANY = Batch(model="FLUX.1-dev", requests=1e6, limits=H100)


def _ask(question: Serve | Batch = FLUX, **changed: Any) -> Sizing:
    return size(msgspec.structs.replace(question, **changed), KNOWN)


def _best(answer: Sizing) -> Design:
    assert answer.best is not None, answer.conflict
    return answer.best


def _value(answer: Sizing, name: str) -> float:
    return _best(answer).quantities[name].value


def _erlang_c(servers: int, load: float) -> float:
    """The chance to wait in M/M/c, by Erlang's recursion."""
    blocked = 1.0
    for i in range(1, servers + 1):
        blocked = load * blocked / (i + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


@pytest.mark.parametrize(("servers", "used"), [(1, 0.5), (1, 0.9), (4, 0.8), (20, 0.8), (100, 0.95)])
def test_the_wait_is_near_that_of_erlang(servers: int, used: float) -> None:
    """A fixed service waits half as long as one that scatters like an exponential: C / (2 c (1 - used)) services."""
    exact = _erlang_c(servers, used * servers) / (2 * servers * (1 - used))
    assert wait(servers, used * servers, 1.0).mean == pytest.approx(exact, rel=0.2, abs=0.002)


def test_one_server_at_half_of_its_time_waits_by_hand() -> None:
    """M/D/1 at 50 %: half a service on average; 99 of 100 within ln(0.5 / 0.01) = 3.9 of them."""
    found = wait(1, 0.5, 1.0)
    assert (found.mean, found.p99) == pytest.approx((0.5, math.log(50)))
    assert math.isinf(wait(1, 1.0, 1.0).mean)


def test_servers_are_the_fewest_that_wait_no_longer() -> None:
    number = servers_for(10.0, 1.0, 0.8, 0.05)
    assert wait(number, 10.0, 1.0).p99 <= 0.05 < wait(number - 1, 10.0, 1.0).p99
    assert servers_for(10.0, 1.0, 0.8, None) == 13


@pytest.mark.parametrize(("height", "width", "gb"), [(720, 1280, 60), (544, 960, 45)])
def test_memory_of_a_video_is_what_its_authors_measured(height: int, width: int, gb: float) -> None:
    """HunyuanVideo of 129 frames: 60 and 45 GB beside the text encoder."""
    found = held(KNOWN.architecture("HunyuanVideo"), Request(height=height, width=width, steps=50, frames=129), "bf16")
    assert (found["weights"] + found["activations"]) / 1e9 == pytest.approx(gb, rel=0.03)


def test_images_are_in_time_and_the_replicas_carry_the_rate() -> None:
    found = _ask()
    assert _value(found, "latency_p99_s") <= 15
    assert _value(found, "items_per_s") * _value(found, "used") == pytest.approx(2)
    assert _value(found, "used") <= 0.8


def test_one_replica_takes_as_long_as_the_case_of_the_same_image() -> None:
    """The search and `generate_image` say one thing of one image on two accelerators."""
    case = Case(
        id="", kind="generate_image", model=ModelName(name="FLUX.1-dev"), accelerator=H100.on[0], n_accel=2, precision="bf16",
        resolution=(1024, 1024), steps=28, batch_size=1, parallel=Parallel(ulysses=2, ring=1),
    )  # fmt: skip
    arch, offer = KNOWN.architecture("FLUX.1-dev"), next(o for o in offers(H100, KNOWN.systems, ("on-demand",)) if o.per_node >= 2)
    made = next(one for one in replicas(suited(FLUX, arch), offer, arch, KNOWN) if one.layout.get("ulysses") == 2 and one.batch == 1)
    told = answer(case, KNOWN).quantities
    assert made.seconds == pytest.approx(told["latency_s"].value)
    assert made.busy_w == pytest.approx(told["avg_power_w"].value)


def test_a_tighter_limit_takes_no_fewer_accelerators_and_splits_the_image() -> None:
    loose, tight = _ask(latency_s=60), _ask(latency_s=7)
    assert _best(tight).n_accel >= _best(loose).n_accel
    assert "ulysses" in _best(tight).layout
    assert "ulysses" not in _best(loose).layout


def test_a_limit_that_no_replica_keeps_to_is_named_as_the_conflict() -> None:
    found = _ask(latency_s=0.5)
    assert found.best is None
    assert "latency" in found.conflict[0]


def test_more_pixels_steps_and_frames_cost_more() -> None:
    small, large = (_value(_ask(latency_s=None, resolution=(side, side)), "usd_per_thousand_items") for side in (512, 1024))
    few, many = (_value(_ask(latency_s=None, steps=steps), "energy_per_item_j") for steps in (14, 28))
    short, long = (_value(_ask(VIDEO, frames=frames), "latency_s") for frames in (29, 61))
    assert large > 2 * small
    assert many / few == pytest.approx(2, rel=0.15)
    assert long > 2 * short


def test_width_comes_first_in_a_resolution() -> None:
    assert _best(_ask(VIDEO, resolution=(960, 544))).layout["pixels"] == "960x544"
    assert _best(_ask(VIDEO)).layout["pixels"] == "1280x720"


def test_money_energy_and_power_of_an_item_agree() -> None:
    """A thousand items cost the month's money over the month's items, and take the power's energy."""
    found = _best(_ask()).quantities
    items = 2 * found["time_s"].value
    assert found["usd_per_thousand_items"].value == pytest.approx(found["cost_usd"].value / items * 1000)
    assert found["energy_per_item_j"].value == pytest.approx(found["power_w"].value / 2)


@pytest.mark.parametrize("question", [FLUX, TEXTS, MANY], ids=["image", "texts", "offline"])
def test_the_question_of_an_answer_can_be_asked_again(question: Serve | Batch) -> None:
    """As a report does, on other terms."""
    found = _ask(question)
    assert isinstance(found.question, Serve | Batch)
    assert _best(_ask(found.question)) == _best(found)


@pytest.mark.parametrize("question", [FLUX, VIDEO, TEXTS, MANY], ids=["image", "video", "texts", "offline"])
def test_every_number_has_its_range_and_every_whole_its_parts(question: Serve | Batch) -> None:
    best = _best(_ask(question))
    for estimate in best.quantities.values():
        assert 0 <= estimate.low <= estimate.value <= estimate.high < math.inf
    assert best.breakdowns[0].total == pytest.approx(best.quantities["latency_s"].value, rel=0.6)
    assert best.breakdowns[1].total <= KNOWN.systems.accelerator(best.accelerator).mem_gb * 2**30


def test_offline_a_deadline_is_kept_and_more_accelerators_are_quicker() -> None:
    hour = {n: _value(_ask(MANY, limits=msgspec.structs.replace(H100, gpus=n)), "time_s") for n in (64, 128)}
    assert (hour[64] - 600) / (hour[128] - 600) == pytest.approx(2, rel=0.01)
    assert _value(_ask(MANY, limits=msgspec.structs.replace(H100, by_s=86400.0)), "time_s") <= 86400


def test_networks_are_answered_in_one_pass_and_longer_texts_take_longer() -> None:
    short, long = (_value(_ask(TEXTS, isl=tokens), "energy_per_item_j") for tokens in (128, 512))
    assert long > 3 * short
    assert _best(_ask(Serve(model="ResNet-50", rate=20_000, limits=H100))).layout["replicas"] >= 1


REFUSED: dict[str, Serve | Batch] = {
    "--osl does not belong": Serve(model="FLUX.1-dev", rate=1, osl=5, limits=H100),
    "--tpot does not belong": Serve(model="BERT-Base", rate=1, tpot_s=0.1, limits=H100),
    "--isl does not belong": Serve(model="ResNet-50", rate=1, isl=5, limits=H100),
    "--latency does not belong": Serve(model="Llama-3.1-8B", rate=1, isl=5, osl=5, latency_s=1, limits=H100),
    "tokens of a prompt and of an answer": Batch(model="Llama-3.1-8B", requests=5, limits=H100),
    "makes single images": Serve(model="FLUX.1-dev", rate=1, frames=5, limits=H100),
    "no picture": Serve(model="FLUX.1-dev", rate=1, resolution=(4, 4), limits=H100),
    "steps is 0": Serve(model="FLUX.1-dev", rate=1, steps=0, limits=H100),
    "rate is nan": Serve(model="FLUX.1-dev", rate=math.nan, limits=H100),
    "no engine of images": Serve(model="FLUX.1-dev", rate=1, engine="sglang", limits=H100),
    "more than BERT-Base reads": Serve(model="BERT-Base", rate=1, isl=4096, limits=H100),
    "XGBoost-200 cannot be sized": Serve(model="XGBoost-200", rate=1, limits=H100),
    "DLRM cannot be sized": Serve(model="DLRM", rate=1, limits=H100),
    "fits no machine": Serve(model="FLUX.1-dev", rate=1, limits=Limits(on=("RTX-4090",))),
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_does_not_belong_or_cannot_be_is_refused_in_words(told: str) -> None:
    with pytest.raises(UserError, match=told):
        size(REFUSED[told], KNOWN)
