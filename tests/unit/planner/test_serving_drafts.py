"""Drafts of speculative decoding: what they cost, what they yield, and what the search makes of both."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Batch, Limits, Serve
from bedplate.planner.search import size
from bedplate.planner.search.carrying import Instance, rows_of, steady
from bedplate.planner.search.instances import instances
from bedplate.planner.search.offers import offers
from bedplate.planner.serving.drafting import own_block
from bedplate.planner.serving.iteration import iteration

KNOWN = knowledge()
LIMITS = Limits(on=("H100-SXM5-80GB",), terms=("on-demand",))
ASKED = Serve(model="Llama-3.1-70B", isl=1000, osl=300, rate=1, draft="Llama-3.2-1B", draft_tokens=3, acceptance=0.8, limits=LIMITS)


def _instance(question: Serve, n: int = 8) -> Instance:
    offer = next(o for o in offers(question.limits, KNOWN.systems, ("on-demand",)) if o.per_node == 8)
    arch = KNOWN.architecture(question.model)
    return next(i for i in instances(question, arch, offer, KNOWN) if i.layout.n_accel == n)


def test_a_token_with_drafts_by_hand() -> None:
    """Acceptance 0.8 and 3 drafts yield (1 - 0.8^4) / 0.2 = 2.952 tokens a step; a step is one pass over 4 tokens of each request and three
    of the draft, so that a token of one request alone takes (D + 3 d) / 2.952 and what prompts take."""
    one = _instance(ASKED)
    assert one.draft is not None
    work, rates, context = one.machine.work, one.machine.rates, one.demand.context
    verify = iteration(work, rates, sequences=0.01, context=context, verified=4.0).total
    draft = iteration(one.draft.work, msgspec.structs.replace(rates, step=0.0, sequence=0.0), sequences=0.01, context=context).total
    found = steady(rows_of([one]), np.array([[0.01]]))
    prompts = float(found.arrivals[0, 0] * found.prompt_s[0, 0])
    assert float(found.tpot[0, 0]) == pytest.approx((float(verify) + 3 * float(draft) + prompts) / 2.952, rel=1e-6)


def test_the_draft_takes_memory_beside_the_model() -> None:
    """Llama-3.2-1B: 1.24 billion weights of 16 bits over 8 accelerators are 0.31 GB each; its caches come on top, so that fewer run."""
    plain, drafting = _instance(msgspec.structs.replace(ASKED, draft="")), _instance(ASKED)
    assert (drafting.machine.memory.weights - plain.machine.memory.weights) / 1e9 == pytest.approx(0.31, abs=0.03)
    assert drafting.machine.memory.tokens < plain.machine.memory.tokens


def test_a_model_s_own_block_is_one_layer_without_a_table_of_words() -> None:
    """DeepSeek-V3's block: 256 experts of 3 x 7168 x 2048 weights in fp8 are 11.3 GB, over 8 ranks 1.4 GB."""
    arch = KNOWN.architecture("DeepSeek-V3")
    assert sum(group.count for group in own_block(arch).groups) == 1
    one = _instance(Serve(model="DeepSeek-V3", isl=1000, osl=300, rate=1, draft="mtp", limits=Limits(on=("H200-SXM-141GB",))))
    assert one.draft is not None
    assert one.draft.weight_bytes / 1e9 == pytest.approx(11.3 / 8, rel=0.1)


def test_drafts_shorten_tokens_of_few_and_cost_throughput_where_products_bind() -> None:
    """A full batch multiplies as fast as it can already: tokens that are not accepted are lost there."""
    plain, drafting = _instance(msgspec.structs.replace(ASKED, draft="")), _instance(ASKED)
    assert drafting.at(0.01).tpot_s < 0.6 * plain.at(0.01).tpot_s
    useless = _instance(msgspec.structs.replace(ASKED, acceptance=0.0))
    assert useless.at(0.01).tpot_s > plain.at(0.01).tpot_s
    assert useless.full_rps < plain.full_rps


def test_the_answer_says_what_drafts_bought_and_drafting_is_part_of_the_step() -> None:
    answer = size(msgspec.structs.replace(ASKED, tpot_s=0.012, ttft_s=2.0), KNOWN)
    assert answer.best is not None
    assert answer.best.layout["tokens a step"] == 2.95
    assert "drafting" in {part.name for one in answer.best.breakdowns for part in one.parts}
    assert any(told.startswith("without drafts") for told in answer.reasons)
    offline = size(Batch(model="Llama-3.1-70B", requests=1e5, isl=500, osl=500, draft="Llama-3.2-1B", limits=LIMITS), KNOWN)
    assert any(told.startswith("without drafts the best is") for told in offline.reasons)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"draft": "mtp"}, "Llama-3.1-70B drafts no tokens of its own"), ({"draft": "Qwen3-0.6B"}, "cannot draft for"),
        ({"draft": "DeepSeek-V3"}, "cannot draft for"),
        ({"draft": "Llama-3.1-405B"}, "is no smaller"), ({"draft_tokens": 0}, "0 tokens cannot be drafted"),
        ({"acceptance": 1.2}, "acceptance is 1.2"), ({"length_cv": -1.0}, "length_cv is -1"),
    ],
)  # fmt: skip
def test_drafts_that_cannot_be_are_refused_in_words(changed: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        size(msgspec.structs.replace(ASKED, **changed), KNOWN)
