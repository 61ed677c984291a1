"""The planner in process: `layouts N` of GPT-3 on 1,024 H100, or `search MODEL` and `answer`, each a whole call of `bedplate.size`.

`inside` is the CPU time of N layouts, of one search, and of ANSWERS answers; what is imported once is warm.
"""

from __future__ import annotations

import sys
import time

import bedplate
from bedplate.assembly import knowledge
from bedplate.planner.asking.questions import Limits, Train
from bedplate.planner.search.offers import offers
from bedplate.planner.search.training import best_layouts

ANSWERS = 20
GPUS = 1024
MONTH_S = 30 * 86400.0
WARM = Train(model="llama-3.1-8b", tokens=1e9, limits=Limits(on=("h100",), gpus=8))
ASKED = Train(model="llama-3.1-70b", tokens=2e12, seq_len=8192, limits=Limits(on=("h100",), by_s=MONTH_S))


def layouts(wanted: int) -> None:
    """Memory and step time of every layout of one machine and count, again and again; every search begins from the question."""
    known = knowledge()
    limits = Limits(on=("dgx-h100",), gpus=GPUS)
    question = Train(model="gpt-3-175b", tokens=300e9, seq_len=2048, batch_tokens=2048 * GPUS, limits=limits)
    (offer, *_), arch = offers(question.limits, known.systems, ("on-demand",)), known.architecture(question.model)
    looked_at, began = 0, time.process_time()
    while looked_at < wanted:
        (found,) = best_layouts(question, offer, arch, known)
        looked_at += found.looked_at
    print(f"inside={(time.process_time() - began) * wanted / looked_at}")


def asked(question: Train, times: int) -> None:
    """So many whole calls; each loads its own knowledge."""
    bedplate.size(WARM)
    began = time.process_time()
    for _ in range(times):
        found = bedplate.size(question)
    print(f"inside={time.process_time() - began}")
    assert found.best is not None


if __name__ == "__main__":
    what, *more = sys.argv[1:]
    if what == "layouts":
        layouts(int(more[0]))
    elif what == "search":
        asked(Train(model=more[0], tokens=1e13, limits=Limits(gpus=GPUS)), 1)
    else:
        asked(ASKED, ANSWERS)
