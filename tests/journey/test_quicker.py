"""Making models quicker, as a person does: runtimes measured, lighter models behind their check, promoted and served."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from conftest import Person


@pytest.fixture(scope="module")
def shop(person: Callable[..., Person]) -> Person:
    one = person("quicker")
    one.types("run")
    return one


def test_runtimes_are_prepared_measured_and_told(shop: Person) -> None:
    """Compiled trees say exactly what LightGBM says; the version is what it was."""
    report = shop.reads("optimise", "late", "--compile")
    tried = {one["runtime"]: one for one in report["after"]["tried"]}
    assert tried.keys() == {"native", "compiled"}
    assert tried["compiled"]["off"] == 0.0
    assert report["version"] == ""
    assert report["problems"] == {}
    assert len(shop.reads("show", "late")["versions"]) == 1


def test_a_pruned_model_is_a_side_version_that_its_check_let_pass(shop: Person) -> None:
    """It is smaller, its report is in the record, and only a person puts it into service."""
    report = shop.reads("optimise", "late@1", "--prune", "--loss", "0.02")
    assert report["bytes_after"] < report["bytes_before"]
    assert all(figure["worse"] <= 0.02 for figure in report["figures"])
    shown = shop.reads("show", report["version"])
    assert shown["version"]["meta"]["optimised"]["of"] == "late@1"
    assert shown["version"]["head"] is False
    assert "late@1 with" in shop.types("show", report["version"]).stdout
    assert shop.reads("show", "late@production")["version"]["number"] == 1
    shop.types("promote", report["version"])
    assert f"late@{shop.reads('show', 'late@production')['version']['number']}" == report["version"]
    shop.types("rollback", "late")


def test_a_student_and_weights_in_int8_pass_too(shop: Person) -> None:
    """A student of the trees, and a quantised network, each with its lineage."""
    student = shop.reads("optimise", "late@1", "--distil")
    assert "taught by 3,000 rows" in student["done"][0]
    assert "measured" in shop.types("lineage", student["version"]).stdout
    small = shop.reads("optimise", "net", "--quantise", "int8")
    assert small["bytes_after"] * 3 < small["bytes_before"]
    assert shop.reads("show", small["version"])["version"]["meta"]["flavour"] == "onnx"


def test_static_scales_are_found_on_what_training_takes_and_never_on_what_the_check_does(shop: Person) -> None:
    """The lineage names the table; where training and check share one, or the check's is named, it is refused with what to do."""
    small = shop.reads("optimise", "deep", "--quantise", "int8-static")
    assert "scales from 2,000 rows" in small["done"][0]
    assert small["bytes_after"] * 3 < small["bytes_before"]
    assert all(figure["passed"] and figure["worse"] <= 0.005 for figure in small["figures"])
    assert {one["runtime"] for one in small["after"]["tried"]} >= {"native"}
    assert "learned" in shop.types("lineage", small["version"]).stdout
    assert (
        "would judge what it has helped to make"
        in shop.types("optimise", "deep", "--quantise", "int8-static", "--rows", "held", code=2).stderr
    )
    assert "split the table" in shop.types("optimise", "net", "--quantise", "int8-static", code=2).stderr
    assert "--prune or --distil" in shop.types("optimise", "late", "--quantise", "int8-static", "--rows", "learned", code=2).stderr


def test_what_a_model_does_not_allow_is_said_with_what_does(shop: Person) -> None:
    """Trees have no weights, a network no order of trees, and a name that is no model is none."""
    assert "--prune or --distil" in shop.types("optimise", "late", "--quantise", "int8", code=2).stderr
    assert "--quantise int8 for a network" in shop.types("optimise", "net@1", "--prune", code=2).stderr
    assert "not a model" in shop.types("optimise", "measured", code=2).stderr
    shop.types("optimise", "nothing", code=2)


def test_where_no_candidate_passes_nothing_is_kept(shop: Person) -> None:
    """A loss that nothing keeps to: exit code 5, the figures that failed, and no version more."""
    before = len(shop.reads("show", "late")["versions"])
    refused = shop.types("optimise", "late@1", "--distil", "--loss=-1", code=5)
    assert "no lighter late@1 passes good_enough" in refused.stderr
    assert "falls from" in refused.stderr
    assert len(shop.reads("show", "late")["versions"]) == before
