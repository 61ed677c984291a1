"""What an answer admits: chips without a measured run, scales beyond every measurement, unverified rows."""

from __future__ import annotations

import msgspec

from bedplate.assembly import knowledge
from bedplate.planner.questions import Train
from bedplate.planner.search.doubts import MOST_TRAINING, doubts, measured
from bedplate.planner.search.offers import Offer
from bedplate.planner.sizing import Design

KNOWN = knowledge()
H100 = KNOWN.systems.accelerator("H100-SXM5-80GB")
QUESTION = Train(model="llama-3.1-8b", tokens=1e9)


def offer(**more: object) -> Offer:
    usual = Offer(chip=H100, node=None, per_node=8, provider="", region="", term="on-demand", usd_hour=None, pue=1.4, g_per_kwh=400.0)
    return msgspec.structs.replace(usual, **more)


def test_a_measured_chip_at_a_usual_scale_is_not_doubted() -> None:
    assert doubts(QUESTION, Design(name="a", n_accel=512), offer(), KNOWN) == ()


def test_a_chip_without_a_measured_run_is_named() -> None:
    chip = msgspec.structs.replace(H100, name="MyChip", verified=False)
    told = doubts(QUESTION, Design(name="a", n_accel=8), offer(chip=chip), KNOWN)
    assert "no run on MyChip was ever compared" in told[0]
    assert told[1] == "the data sheet row of MyChip is unverified"
    assert not measured(chip, KNOWN.constants["serving"])


def test_more_accelerators_or_longer_sequences_than_were_ever_measured_are_named() -> None:
    question = msgspec.structs.replace(QUESTION, seq_len=4_000_000)
    told = doubts(question, Design(name="a", n_accel=MOST_TRAINING * 2), offer(), KNOWN)
    assert [one.split(" are more")[0] for one in told] == ["16,384 accelerators", "4,000,000 tokens in a sequence"]
