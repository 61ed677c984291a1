"""The loader of the catalogue: what a user's folder does, and which rows are refused, with file, line and field."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from bedplate.core.errors import NotFound, UserError
from bedplate.planner.facts.systems import find
from bedplate.storage.systems import load_architectures, load_systems

SHIPPED = load_systems()
CHIP = "name,vendor,mem_gb,mem_gbs,tdp_w,tflops.bf16,source,verified\n"
MODEL = {
    "name": "own",
    "source": "me",
    "d_model": 512,
    "n_heads": 8,
    "n_kv_heads": 8,
    "d_ff": 2048,
    "vocab_size": 100,
    "groups": [{"count": 2}],
}
FIGURE = "name,value,low,high,unit,source,verified\n"


def _folder(tmp_path: Path, file: str, text: str) -> Path:
    (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_users_row_goes_over_ours_and_a_new_one_beside_them(tmp_path: Path) -> None:
    rows = CHIP + "H100-SXM5-80GB,nvidia,80,3350,650,989,my own meter,true\nMy-Chip,me,24,900,200,150,my datasheet,true\n"
    own = load_systems(_folder(tmp_path, "accelerators.csv", rows))
    assert own.accelerators["H100-SXM5-80GB"].tdp_w == 650
    assert own.accelerator("my chip").tflops == {"bf16": 150.0}
    assert own.accelerators["B200-SXM-180GB"] == SHIPPED.accelerators["B200-SXM-180GB"]
    assert SHIPPED.accelerators["H100-SXM5-80GB"].tdp_w == 700


def test_a_users_prices_of_an_instance_take_the_place_of_all_of_ours(tmp_path: Path) -> None:
    text = "name,provider,accelerator,n_accel,region,on_demand,source\np5.48xlarge,aws,H100-SXM5-80GB,8,us-east-1,40,my contract\n"
    own = load_systems(_folder(tmp_path, "prices.csv", text))
    assert [(price.region, price.on_demand) for price in own.prices if price.name == "p5.48xlarge"] == [("us-east-1", 40.0)]


@pytest.mark.parametrize(
    ("file", "text", "line", "field"),
    [
        ("accelerators.csv", CHIP + "A,v,80,3000,700,900,s,true\nB,v,eighty,3000,700,900,s,true\n", 3, "mem_gb"),
        ("accelerators.csv", CHIP + "A,v,-80,3000,700,900,s,true\n", 2, "mem_gb: -80"),
        ("accelerators.csv", CHIP + "A,v,80,3000,0,900,s,true\n", 2, "tdp_w: 0"),
        ("accelerators.csv", CHIP + "A,v,80e9,3000,700,900,s,true\n", 2, "is it in GB (GiB)?"),
        ("accelerators.csv", CHIP + "A,v,80,3.35,700,900,s,true\n", 2, "is it in GB/s?"),
        ("accelerators.csv", CHIP + "A,v,80,3000,0.7,900,s,true\n", 2, "is it in W?"),
        ("accelerators.csv", CHIP + "A,v,80,3000,700,9e14,s,true\n", 2, "tflops.bf16: 9e+14 lies outside"),
        ("accelerators.csv", CHIP.replace("tdp_w", "tflops") + "A,v,80,3000,5,900,s,true\n", 2, "'5' stands beside tflops.bf16"),
        ("prices.csv", "name,provider,accelerator,n_accel,on_demand\nx,me,T4,0,1\n", 2, "at least 1 accelerator"),
        ("accelerators.csv", CHIP + "A\x1b[2J,v,80,3000,700,900,s,true\n", 2, "signs that cannot be printed"),
        ("accelerators.csv", CHIP + "A,v,80,3000,700,-9,s,true\n", 2, "tflops.bf16: -9"),
        ("accelerators.csv", CHIP + "A,v,80,3000,700,900,recalled: a datasheet,true\n", 2, "verified"),
        ("accelerators.csv", CHIP + "A,v,80,3000,700,900,s,perhaps\n", 2, "verified"),
        ("figures.csv", FIGURE + "pue-air,1.4,1.5,1.6,ratio,s,true\n", 2, "value: 1.4"),
        ("grids.csv", "name,kind,region,carbon_free,source\nX,country,XX,1.2,s\n", 2, "carbon_free: 1.2"),
        ("grids.csv", "name,kind,pue,source\nX,pue,0.9,s\n", 2, "pue: 0.9"),
        ("prices.csv", "name,provider,accelerator,source\nx,me,T4,s\n", 2, "on_demand"),
        ("links.csv", "name,kind,gbps,source\nx,rope,1,s\n", 2, "kind"),
        ("days.csv", "name,regions,hour.00,source\nx,XX,1,s\n", 2, "hour"),
        ("accelerators.csv", CHIP.replace("tdp_w", "tpd_w") + "A,v,80,3000,700,900,s,true\n", 1, "tpd_w"),
    ],
)
def test_a_broken_row_is_refused_with_file_line_and_field(tmp_path: Path, file: str, text: str, line: int, field: str) -> None:
    with pytest.raises(UserError) as caught:
        load_systems(_folder(tmp_path, file, text))
    assert caught.value.what.startswith(f"{file}, line {line}: ")
    assert field in caught.value.what
    assert str(tmp_path) in str(caught.value.next)


def test_a_misspelt_column_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_systems(_folder(tmp_path, "accelerators.csv", CHIP.replace("tdp_w", "tpd_w")))
    assert "tdp_w" in caught.value.why


def test_a_row_that_names_an_accelerator_that_there_is_not_is_refused(tmp_path: Path) -> None:
    text = "name,provider,accelerator,n_accel,source\nbox,me,H1000,8,s\n"
    with pytest.raises(UserError, match=r"nodes\.csv: row 'box', accelerator: there is no 'H1000'"):
        load_systems(_folder(tmp_path, "nodes.csv", text))


def test_a_short_name_belongs_to_one_accelerator(tmp_path: Path) -> None:
    text = CHIP.replace("name,", "name,aliases,") + "Mine,h100,me,80,3000,700,900,s,true\n"
    with pytest.raises(UserError, match=r"'h100' is already that of"):
        load_systems(_folder(tmp_path, "accelerators.csv", text))


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("h100", "H100-SXM5-80GB"),
        ("H200", "H200-SXM-141GB"),
        ("b200", "B200-SXM-180GB"),
        ("a100", "A100-SXM4-80GB"),
        ("mi300x", "MI300X"),
        ("tpu v5e", "TPU-v5e"),
        ("gb200", "GB200-186GB"),
        ("GB200 NVL72", "GB200-186GB"),
        ("trillium", "TPU-v6e"),
        ("trn2", "Trainium2"),
        ("v100", "V100-SXM2-32GB"),
        ("h100 pcie", "H100-PCIe-80GB"),
        ("4090", "RTX-4090"),
        ("cerebras", "Cerebras-WSE-3"),
    ],
)
def test_short_names_mean_the_variant_of_the_8_gpu_server(short: str, name: str) -> None:
    assert SHIPPED.accelerator(short).name == name


def test_a_beginning_that_fits_one_row_is_enough_and_one_that_fits_many_lists_them() -> None:
    assert find(SHIPPED.nodes, "ND96amsr", "node").name == "ND96amsr_A100_v4"
    with pytest.raises(NotFound) as caught:
        SHIPPED.accelerator("rtx")
    assert caught.value.why.count("RTX-") > 3


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ({"rows": [MODEL | {"d_model": -4096}]}, "d_model: -4096"),
        ({"rows": [MODEL | {"groups": [{"count": 0}]}]}, "groups: a group has 1 to"),
        ({"rows": [MODEL | {"experts": {"count": 2, "top_k": 3, "d_ff": 64}}]}, "experts.top_k: 3 of 2"),
        ({"rows": [MODEL], "aliases": {"a": "b", "b": "a"}}, "'a' is 'b', and there is no such model"),
    ],
)
def test_a_model_of_ones_own_that_cannot_be_is_refused(tmp_path: Path, page: dict[str, object], said: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "own.json").write_text(json.dumps(page), encoding="utf-8")
    with pytest.raises(UserError, match=re.escape(said)):
        load_architectures(tmp_path)
