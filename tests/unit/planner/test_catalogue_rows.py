"""The catalogue that ships: what it covers, and what its rows must agree on with one another."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from bedplate.core.errors import UserError
from bedplate.planner.facts.plausible import fault
from bedplate.planner.facts.systems import EXPORT_ORDER, Accelerator, Grid
from bedplate.storage.systems import load_systems

SYSTEMS = load_systems()
BITS = {"tf32": 19, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4}
CONSUMER = ("RTX-", "RX-", "Radeon", "Arc", "Jetson", "GB10")


def test_all_kinds_of_silicon_are_there_and_say_what_they_run() -> None:
    kinds = {chip.kind for chip in SYSTEMS.accelerators.values()}
    assert {"gpu", "tpu", "neuron", "gaudi", "fpga", "lpu", "wafer", "rdu", "ipu", "npu", "cpu"} <= kinds
    assert all(chip.runs for chip in SYSTEMS.accelerators.values())
    assert all(any("onnx" in path or "hls" in path for path in chip.runs) for chip in SYSTEMS.accelerators.values() if chip.kind == "fpga")
    assert {f"TPU-{v}" for v in ("v2", "v3", "v4", "v5e", "v5p", "v6e", "v7x")} <= set(SYSTEMS.accelerators)
    assert {"Trainium1", "Trainium2", "Trainium3", "Inferentia1", "Inferentia2", "Gaudi2", "Gaudi3"} <= set(SYSTEMS.accelerators)


def performance(chip: Accelerator) -> float:
    """Total processing performance: the greatest of dense TFLOP/s (or TOP/s) x bits (15 CFR 774 supplement 1, note 2 to 3A090)."""
    return max((chip.tflops[name] * bits for name, bits in BITS.items() if name in chip.tflops), default=0.0)


def test_performance_by_hand() -> None:
    """H100 SXM: 1,979 TFLOP/s fp8 x 8 = 15,832, over 814 mm2 19.4. L4: 242 x 8 = 1,936, over 294 mm2 6.6. A40: 2,394 over 628 3.8."""
    chips = SYSTEMS.accelerators
    assert performance(chips["H100-SXM5-80GB"]) == 15_832
    assert performance(chips["L4"]) / (chips["L4"].die_mm2 or 1) == pytest.approx(6.6, abs=0.05)
    assert performance(chips["A40"]) / (chips["A40"].die_mm2 or 1) == pytest.approx(3.8, abs=0.05)


@pytest.mark.parametrize("chip", [chip for chip in SYSTEMS.accelerators.values() if chip.export_class], ids=lambda chip: chip.name)
def test_an_export_class_follows_from_peak_and_die_area(chip: Accelerator) -> None:
    """3A090.a: 4,800 or more, or 1,600 with a density of 5.92; .b: 2,400 with 1.6, or 1,600 with 3.2, for data centres; else 4A994."""
    assert chip.export_class in EXPORT_ORDER
    tpp, density = performance(chip), performance(chip) / chip.die_mm2 if chip.die_mm2 else 0.0
    if tpp >= 4800 or (tpp >= 1600 and density >= 5.92 and not chip.name.startswith(CONSUMER)):
        assert chip.export_class == "3A090.a"
    elif ((density >= 1.6 and tpp >= 2400) or (density >= 3.2 and tpp >= 1600)) and not chip.name.startswith(CONSUMER):
        assert chip.export_class == "3A090.b"
    else:
        assert chip.export_class == "4A994"


def test_export_limits_are_ordered() -> None:
    chips = SYSTEMS.accelerators
    assert chips["H100-SXM5-80GB"].exceeds("3A090.b")
    assert chips["H100-SXM5-80GB"].exceeds("4A994")
    assert not chips["H100-SXM5-80GB"].exceeds("3A090")
    assert not chips["T4"].exceeds("4A994")
    assert not chips["H100-SXM5-80GB"].exceeds("")


def test_links_reach_from_the_package_to_the_hall() -> None:
    kinds = {link.kind for link in SYSTEMS.links.values()}
    assert kinds == {"scale-up", "scale-out", "memory", "cable"}
    for name in ("nvlink", "ualink", "infiniband", "roce", "ultra ethernet", "efa", "cxl", "cpo"):
        assert any(name == alias for link in SYSTEMS.links.values() for alias in link.aliases), name
    optics = SYSTEMS.links["OSFP-800G-SR8"]
    assert optics.watts == pytest.approx(30)


def test_co_packaged_optics_take_less_than_half_of_pluggable_ones() -> None:
    assert (SYSTEMS.links["CPO-800G"].pj_per_bit or 0) < 0.5 * (SYSTEMS.links["OSFP-800G-DR8"].pj_per_bit or 0)


def test_the_scale_up_rate_of_a_gpu_is_that_of_its_link() -> None:
    """stas00/ml-engineering: NVLink 4 is 450 GB/s and NVLink 5 900 GB/s of one GPU in one direction."""
    for chip, link in (("A100-SXM4-80GB", "NVLink-3"), ("H100-SXM5-80GB", "NVLink-4"), ("B200-SXM-180GB", "NVLink-5")):
        assert (SYSTEMS.accelerators[chip].scaleup_gbs or 0) * 8 == SYSTEMS.links[link].gbps


def test_what_every_way_of_a_site_asks_for_is_among_the_figures() -> None:
    for cooling in ("air", "rear-door", "liquid", "immersion"):
        for name in ("rack-kw", "pue", "cooling-usd-kw", "site-water-l-kwh", "weeks-cooling"):
            assert SYSTEMS.figure(f"{name}-{cooling}").value > 0
    ordered = [SYSTEMS.figure(f"rack-kw-{name}").value for name in ("ordinary", "air", "rear-door", "liquid")]
    assert ordered == sorted(ordered)


def test_a_row_whose_only_source_is_memory_is_not_called_verified() -> None:
    rows = [*SYSTEMS.accelerators.values(), *SYSTEMS.nodes.values(), *SYSTEMS.links.values(), *SYSTEMS.switches.values(), *SYSTEMS.prices]
    assert not [row.name for row in rows if row.verified and row.source.startswith("recalled") and "agrees with" not in row.source]


def test_a_grid_in_the_wrong_unit_is_refused() -> None:
    """Tonnes for a GWh written as grams for a GWh are a million times too much."""
    row = Grid(name="x", kind="azure", region="x", g_per_kwh=77e6, source="test")
    assert fault(row).startswith("g_per_kwh")
    assert fault(msgspec.structs.replace(row, g_per_kwh=77.0)) == ""
    assert fault(msgspec.structs.replace(row, g_per_kwh=None, usd_per_kwh=90.0)).startswith("usd_per_kwh")


def test_a_price_of_ones_own_is_a_quotation(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("name,provider,accelerator,n_accel,on_demand,source\nmine-8,me,H100-SXM5-80GB,8,20,letter\n")
    rows = {row.name: row for row in load_systems(tmp_path).prices}
    assert rows["mine-8"].quoted
    assert not rows["p5.48xlarge"].quoted


CHIP = "name,vendor,mem_gb,mem_gbs,tflops.bf16\nMyChip,acme,96,{},500\n"


def test_an_edited_row_is_read_again_in_the_same_process(tmp_path: Path) -> None:
    """Of the same length and within the clock's tick: what the file holds counts, not when it was written."""
    file = tmp_path / "accelerators.csv"
    for gbs in (3000, 4000):
        file.write_text(CHIP.format(gbs))
        assert load_systems(tmp_path).accelerator("mychip").mem_gbs == gbs
    assert load_systems(tmp_path) is load_systems(tmp_path)


def test_a_row_of_ones_own_needs_no_source(tmp_path: Path) -> None:
    (tmp_path / "accelerators.csv").write_text(CHIP.format(3000))
    assert load_systems(tmp_path).accelerator("mychip").source == "a row of your own"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xa4\xff\x00\x13", "no table of text"),
        (CHIP.format("lots").encode(), "line 2: mem_gbs: 'lots' is not a number"),
        (CHIP.format("").encode(), "line 2: the row needs 'mem_gbs'"),
    ],
)
def test_a_broken_table_is_refused_with_what_it_says(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "accelerators.csv").write_bytes(content)
    with pytest.raises(UserError, match=re.escape(said)):
        load_systems(tmp_path)
