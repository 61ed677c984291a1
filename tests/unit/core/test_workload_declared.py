"""Declared workloads and machines: how they are read, and every mistake that lint tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import UserError
from bedplate.core.workload import Machines, Workload, machines, mistakes


@pytest.mark.parametrize(
    ("decorator", "given", "task"),
    [
        ("train", {"tokens": "2T"}, "train"),
        ("train", {"tokens": 5e7, "seq_len": 2048, "method": "lora"}, "finetune"),
        ("step", {"tokens": "2B", "batch_tokens": "4M"}, "train"),
        ("step", {"isl": 2000, "osl": 300, "requests": "1M"}, "batch"),
        ("service", {"isl": "2k", "osl": 300, "rate": "40/s"}, "serve"),
    ],
)
def test_the_fields_say_what_is_done_with_the_model(decorator: str, given: dict[str, Any], task: str) -> None:
    workload = Workload(model="llama-3.1-8b", **given)
    assert (workload.task, mistakes(workload, decorator)) == (task, [])


def test_quantities_are_read_with_their_units() -> None:
    workload = Workload(model="m", tokens="2T", rate="1000/min", isl=2000)
    assert (workload.number("tokens"), workload.number("isl"), workload.number("osl")) == (2e12, 2000.0, None)
    assert workload.number("rate") == pytest.approx(1000 / 60)


@pytest.mark.parametrize(
    ("decorator", "given", "said"),
    [
        ("train", "llama", "is no Workload"),
        ("train", {"model": ""}, "is no model's name"),
        ("train", {}, "tokens= is missing"),
        ("train", {"tokens": "2 zillion"}, "'2 zillion' is not a count"),
        ("train", {"tokens": [2]}, "is not a number"),
        ("train", {"tokens": -1}, "not more than nothing"),
        ("train", {"tokens": 1, "isl": 4}, "isl= has no meaning"),
        ("train", {"tokens": 1, "method": "Lora"}, "method='Lora' is not known"),
        ("train", {"isl": 1, "osl": 1, "rate": "4/s"}, "a train cannot serve a rate"),
        ("service", {"tokens": 1}, "a service cannot train"),
        ("service", {"isl": 1, "osl": 1, "rate": "4"}, "'4' is not a rate"),
        ("step", {"isl": 1, "requests": 9}, "osl= is missing"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(decorator: str, given: Any, said: str) -> None:
    workload = Workload(**{"model": "m", **given}) if isinstance(given, dict) else given
    found = mistakes(workload, decorator)
    assert said in found[0][0]
    assert all(suggestion for _, suggestion in found)


def test_machines_are_a_count_and_a_name() -> None:
    assert machines("8 x h100") == machines("8xh100") == Machines(count=8, name="h100")
    assert str(machines("2 x dgx-h100")) == "2 x dgx-h100"
    assert machines("none").count == 0


@pytest.mark.parametrize("text", ["", "h100", "0 x h100", "8 h100", "8 x", "-1 x h100", "8 x h100, 4 x l4"])
def test_what_is_no_number_of_machines_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="is not a number of machines"):
        machines(text)
