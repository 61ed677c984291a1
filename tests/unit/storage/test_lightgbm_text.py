"""LightGBM's text from strangers: what the library wrote passes, numbers that lead out of a tree never reach it."""

from __future__ import annotations

import re

import lightgbm
import numpy as np
import pytest

from bedplate.core.errors import CorruptError
from bedplate.storage.backends import lightgbm_text


def text(**more: object) -> str:
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=300), rng.integers(0, 20, 300)])
    given = {"verbosity": -1, "num_threads": 1, "min_data_per_group": 1, "cat_smooth": 1, **more}
    labels = rng.integers(0, int(str(more.get("num_class", 2))), 300)
    return lightgbm.train(given, lightgbm.Dataset(x, labels, categorical_feature=[1]), 4).model_to_string()


@pytest.mark.parametrize(
    "more", [{}, {"objective": "binary"}, {"objective": "multiclass", "num_class": 3}, {"num_leaves": 2}, {"min_gain_to_split": 1e9}]
)
def test_what_the_library_wrote_is_taken(more: dict[str, object]) -> None:
    lightgbm_text.check(text(**more).encode())


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("split_feature", "2000000000"), ("split_feature", "-1"), ("left_child", "2000000000"), ("left_child", "-2000000000"),
        ("right_child", "0"), ("num_leaves", "2147483647"), ("num_leaves", "-1"), ("num_cat", "-1"), ("num_cat", "99"), ("leaf_value", "1"),
        ("cat_boundaries", "0 99999999"), ("cat_boundaries", ""), ("max_feature_idx", "-5"), ("num_leaves", "x"), ("is_linear", "1"),
        ("threshold", "1e300"),
    ],
)  # fmt: skip
def test_a_number_that_leads_out_of_its_tree_is_refused(name: str, value: str) -> None:
    """MP-09: huge and negative counts; the library itself would read where they point."""

    def forged(found: re.Match[str]) -> str:
        first, rest = found[1], found[2].split()
        whole = name in ("leaf_value", "cat_boundaries", "num_leaves", "num_cat", "max_feature_idx", "is_linear")
        return f"{first}{value if whole else ' '.join([value, *rest[1:]])}"

    honest = text()
    evil = re.sub(rf"(\n{name}=)([^\n]*)", forged, honest)
    assert evil != honest
    if name == "threshold":  # the first node of the first tree may compare numbers: a set of categories is what must be there
        evil = re.sub(r"(\ndecision_type=)([^\n]*)", lambda found: found[1] + " ".join("1" for _ in found[2].split()), evil)
    with pytest.raises(CorruptError):
        lightgbm_text.check(evil.encode())


@pytest.mark.bad_input
def test_the_case_as_it_was_given_is_refused() -> None:
    given = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=2147483647\n"
        "feature_names=x x x \ntree_sizes=-1 99999999999\n\nTree=0\nnum_leaves=2147483647\nnum_cat=-1\n"
    )
    with pytest.raises(CorruptError):
        lightgbm_text.check(given.encode())
