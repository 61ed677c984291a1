"""Training on images: the step from operations, activations, gradients and input, and what must hold of every answer."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.assembly import knowledge
from bedplate.core.errors import UserError
from bedplate.planner.asking.questions import Limits, Train
from bedplate.planner.asking.sizing import Design
from bedplate.planner.facts.calibration import Constants, Effects
from bedplate.planner.kernels.collective import Fabric, reduce_seconds
from bedplate.planner.kernels.items import Item, item_of, parts
from bedplate.planner.search import size
from bedplate.planner.training.images import BUCKET_BYTES, Feed, exposed, image_step, micro_batch

KNOWN = knowledge()
CHIP = "H100-SXM5-80GB"
NET = Fabric(domain=8.0, scaleup=400e9, fabric=40e9)
EPOCH = 1.281e6


def answer(**changed: object) -> Design:
    """ResNet-50 on DGX H100, which have 400 Gbit/s an accelerator."""
    limits = Limits(on=("dgx-h100",), gpus=changed.pop("gpus", 256))  # type: ignore[arg-type] # a number of accelerators
    found = size(Train(model="ResNet-50", items=EPOCH, limits=limits, **changed), KNOWN).best  # type: ignore[arg-type] # fields by name
    assert found is not None
    return found


def value(design: Design, name: str) -> float:
    return design.quantities[name].value


def waits(design: Design) -> dict[str, float]:
    return {part.name: part.value for part in design.breakdowns[0].parts}


def test_an_item_pays_for_its_products_and_its_streams() -> None:
    """3 x 8 GFLOP at half of 100 TFLOP/s take 480 us; 10 M elements of 2 bytes, moved 30 times at 1 TB/s, take 600 us."""
    chip = KNOWN.systems.accelerator(CHIP).__class__(
        name="X", source="", vendor="x", kind="gpu", mem_gb=80, mem_gbs=1000, tflops={"bf16": 100.0}
    )
    made = parts(
        Item(flops=8e9, activations=10e6), "train", chip, "bf16", Constants(effects={"matrix": Effects(base=0.0)}),
        Constants(numbers={"train_share": 0.5, "train_passes": 30.0}),
    )  # fmt: skip
    assert made == pytest.approx((480e-6, 600e-6))


def test_a_vision_transformer_is_counted_layer_by_layer_as_it_is_published() -> None:
    """ViT-B/16 at 224: 35.1 GFLOP a picture; 197 tokens x 12 layers x 9 x 768 elements."""
    item = item_of(KNOWN.architecture("ViT-B/16"))
    assert item.flops == pytest.approx(35.1e9, rel=0.01)
    assert item.activations == 197 * 12 * 9 * 768


def test_gradients_show_by_their_last_bucket_or_by_what_the_backward_pass_does_not_cover() -> None:
    """A quarter of them is the last bucket: three quarters of 10 ms hide the rest."""
    whole, last = (float(reduce_seconds(size_of, 64, 1.0, NET)) for size_of in (4 * BUCKET_BYTES, BUCKET_BYTES))
    assert exposed(4 * BUCKET_BYTES, 64, 0.010, NET) == pytest.approx(max(last, whole - 0.0075))
    assert exposed(4 * BUCKET_BYTES, 64, 0.0, NET) == pytest.approx(whole)
    assert exposed(4 * BUCKET_BYTES, 1, 0.0, NET) == 0.0


def test_a_step_waits_for_what_is_slower_than_it() -> None:
    """100 items of 1 MB on one accelerator: 20 ms of work, 100 ms to read at 1 GB/s, 125 ms to decode at 0.8 GB/s."""
    step = image_step((1e-4, 1e-4), 100, 1, 1e6, NET, Feed(item_bytes=1e6, storage=1e9, decoding=0.8e9))
    assert (step.run, step.storage, step.decoding) == pytest.approx((0.020, 0.080, 0.025))
    assert step.total == pytest.approx(0.125)


def test_a_micro_batch_is_what_the_memory_holds() -> None:
    """16 bytes for each of 100 M weights and 2 GB leave 4.4 of 8 GB; an item keeps 3 x 2 bytes of 10 M elements."""
    assert micro_batch(256, 1e8, 10e6, 8e9) == 73
    assert micro_batch(8, 1e8, 10e6, 8e9) == 8
    assert micro_batch(256, 1e9, 10e6, 8e9) == 0


def test_a_rate_that_no_constant_saw_lies_in_its_range() -> None:
    """timm trains ViT-B/16 at 393 images a second on one RTX 3090; ResNet-50 of NVIDIA's examples at 2,470 on an A100."""
    for model, chip, rate in (("ViT-B/16", "RTX-3090", 393), ("ResNet-50", "A100-SXM4-80GB", 2470)):
        found = size(Train(model=model, items=EPOCH, limits=Limits(on=(chip,), gpus=1)), KNOWN).best
        assert found is not None
        assert found.quantities["items_per_s"].value == pytest.approx(rate, rel=0.2)


@pytest.mark.parametrize(("gpus", "minutes", "epochs"), [(64, 2.664, 38), (512, 0.509, 45), (768, 0.369, 45)])
def test_published_runs_on_many_h100_lie_in_the_range(gpus: int, minutes: float, epochs: int) -> None:
    """MLPerf Training v3.0 (2071, 2068, 2075): ResNet-50 on DGX H100; epochs as such batches need them (40 of a batch of 4 k to 50)."""
    rate = answer(gpus=gpus).quantities["items_per_s"]
    assert rate.low < epochs * EPOCH / (minutes * 60) < rate.high


def test_a_slow_storage_sets_the_pace_and_its_wait_is_named() -> None:
    """5 GB/s are 45,455 images of 110 kB, whatever 256 accelerators could do."""
    fed, starved = answer(), answer(storage_gbs=5.0)
    assert value(fed, "input_stall") == 0.0
    assert value(starved, "items_per_s") == pytest.approx(5e9 / 110e3)
    assert value(starved, "input_stall") == pytest.approx(1 - value(starved, "items_per_s") / value(fed, "items_per_s"))
    assert waits(starved)["storage"] == pytest.approx(value(starved, "input_stall") * value(starved, "step_time_s"))
    assert starved.quantities["items_per_s"].high == pytest.approx(5e9 / 110e3)


def test_the_storage_that_is_said_to_be_needed_is_enough() -> None:
    need = answer().quantities["storage_read_gbs"].value
    assert value(answer(storage_gbs=need), "input_stall") == pytest.approx(0.0, abs=1e-9)
    assert value(answer(storage_gbs=0.9 * need), "input_stall") > 0.05


def test_large_pictures_wait_for_the_cores_that_decode_them() -> None:
    """112 cores of 50 MB/s decode 5.6 GB/s a node, 1,400 pictures of 4 MB."""
    slow = answer(item_bytes=4e6, gpus=8)
    assert value(slow, "decode_cores") == pytest.approx(value(slow, "storage_read_gbs") * 1000 / 50)
    assert value(slow, "decode_cores") > 112
    assert value(slow, "items_per_s") == pytest.approx(112 * 50e6 / 4e6)
    assert "decoding" in waits(slow)


def test_a_thousand_accelerators_get_a_larger_batch_and_are_told_what_that_asks() -> None:
    question = Train(model="ViT-B/16", items=1e9, limits=Limits(on=("dgx-h100",), gpus=1024))
    found = size(question, KNOWN)
    assert found.best is not None
    assert found.best.layout["batch_items"] == 32768
    assert any("LARS" in warning for warning in found.warnings)


def test_more_accelerators_are_never_slower_and_never_more_than_in_proportion() -> None:
    times = [value(answer(gpus=n, epochs=90), "time_s") - 300 for n in (8, 64, 256, 1024)]
    assert times == sorted(times, reverse=True)
    assert times[0] / times[-1] <= 128


@pytest.mark.parametrize("wrong", [{"precision": "fp32"}, {"storage_gbs": 0.0}, {"item_bytes": -1.0}, {"batch_items": 8.0}])
def test_input_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        answer(**wrong)
