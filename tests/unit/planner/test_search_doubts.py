"""What an answer admits: chips without a measured run, scales beyond every measurement, unverified rows."""

from __future__ import annotations

import msgspec

from bedplate.assembly import knowledge
from bedplate.planner.asking.questions import Finetune, Limits, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.estimate import exact
from bedplate.planner.search.doubts import MOST_TRAINING, doubts, measured
from bedplate.planner.search.offers import Offer

KNOWN = knowledge()
H100 = KNOWN.systems.accelerator("H100-SXM5-80GB")
QUESTION = Train(model="llama-3.1-8b", tokens=1e9, limits=Limits(gpus=512))


def offer(**more: object) -> Offer:
    usual = Offer(chip=H100, node=None, per_node=8, provider="", region="", term="on-demand", usd_hour=exact(2.0), pue=1.4, g_per_kwh=400.0)
    return msgspec.structs.replace(usual, **more)


def test_a_measured_chip_at_a_usual_scale_is_not_doubted() -> None:
    assert doubts(QUESTION, Design(name="a", n_accel=512, n_nodes=64), offer(), KNOWN) == ()


def test_a_chip_without_a_measured_run_is_named() -> None:
    chip = msgspec.structs.replace(H100, name="MyChip", verified=False)
    told = doubts(QUESTION, Design(name="a", n_accel=8, n_nodes=1), offer(chip=chip), KNOWN)
    assert "no run on MyChip was ever compared" in told[0]
    assert told[1] == "the data sheet row of MyChip is unverified"
    assert not measured(chip, KNOWN.constants["serving"])


def test_more_accelerators_or_longer_sequences_than_were_ever_measured_are_named() -> None:
    question = msgspec.structs.replace(QUESTION, seq_len=4_000_000)
    told = doubts(question, Design(name="a", n_accel=MOST_TRAINING * 2, n_nodes=MOST_TRAINING // 4), offer(), KNOWN)
    assert [one.split(" are more")[0] for one in told[1:]] == ["16,384 accelerators", "4,000,000 tokens in a sequence"]


def test_a_share_of_a_commitment_says_what_it_takes_for_granted() -> None:
    limits = Limits(budget_usd=1e5, by_s=1e6)
    question = msgspec.structs.replace(QUESTION, limits=limits)
    best = Design(name="a", n_accel=8, n_nodes=1, quantities={"cost_usd": exact(9e4, ""), "commitment_usd": exact(2e6, "")})
    told = doubts(question, best, offer(), KNOWN)
    assert "$2M are committed for whole terms: the cost is this job's share" in told[0]
    assert "more than the budget" in told[1]


def test_what_is_unusual_of_a_training_run_is_named() -> None:
    question = Finetune(model="llama-3.1-8b", method="qlora", tokens=1e14, seq_len=200_000, batch_tokens=1e6)
    best = Design(name="a", n_accel=6, n_nodes=1, layout={"batch_tokens": 960_000})
    told = doubts(question, best, offer(), KNOWN)
    words = ("2 of 8 accelerators stay idle", "nearest to 1,000,000", "longer than the context", "any published", "4-bit", "--by")
    assert all(any(word in one for one in told) for word in words), told


def test_an_answer_without_money_says_that_no_price_is_known() -> None:
    told = doubts(QUESTION, Design(name="a", n_accel=512, n_nodes=64), offer(usd_hour=None), KNOWN)
    assert told == ("no price of H100-SXM5-80GB is known: there is no money in this answer",)
