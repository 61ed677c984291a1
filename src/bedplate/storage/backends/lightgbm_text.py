"""Whether a LightGBM text that strangers sent says what a model can: the library believes every number in it, and walks where they lead.

Each tree must have as many items as it says, split on inputs that there are, and lead from each node to later ones or to leaves that exist
(nodes are numbered as they are made, so that a child never comes before its parent). Limits: linear trees are refused; what the numbers
mean is not judged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bedplate.core.errors import CorruptError

_MOST_LEAVES: Final = 1 << 20
_NODES: Final = ("split_feature", "threshold", "decision_type", "left_child", "right_child")
_CATEGORICAL: Final = 1


def check(text: bytes) -> None:
    """Raise CorruptError where a tree of the model leads out of it."""
    try:
        content = text.decode("utf-8", "replace")
        head, *trees = content.split("\n\nTree=")
        features = int(_pairs(head)["max_feature_idx"]) + 1
        for number, tree in enumerate(trees):
            _check_tree(_pairs(tree.partition("\n\n")[0]), features, number)
    except (KeyError, ValueError, OverflowError) as error:
        raise CorruptError("the LightGBM model is not one that the library wrote", why=f"{type(error).__name__}: {error}"[:200]) from None


def _check_tree(tree: Mapping[str, str], features: int, number: int) -> None:
    leaves, categories = int(tree["num_leaves"]), int(tree["num_cat"])
    if not 1 <= leaves <= _MOST_LEAVES or not 0 <= categories <= leaves or tree.get("is_linear", "0") != "0":
        raise _wrong(number, "its counts are out of bounds, or it is linear")
    if len(tree["leaf_value"].split()) != leaves:
        raise _wrong(number, f"it has not {leaves} leaves")
    if leaves == 1:
        return
    nodes = {name: _numbers(tree[name], float if name == "threshold" else int) for name in _NODES}
    if any(len(found) != leaves - 1 for found in nodes.values()):
        raise _wrong(number, f"it has not {leaves - 1} nodes")
    if not _within(nodes["split_feature"], 0, features - 1):
        raise _wrong(number, f"it splits on an input beyond {features}")
    own = np.arange(leaves - 1)
    for child in (nodes["left_child"], nodes["right_child"]):
        later = (child > own) & (child <= leaves - 2)
        if not bool(np.all(later | ((child < 0) & (child >= -leaves)))):
            raise _wrong(number, "a node leads to none")
    split = nodes["threshold"][(nodes["decision_type"].astype(np.int64) & _CATEGORICAL) == _CATEGORICAL]
    if len(split):
        _check_categories(tree, split, categories, number)


def _check_categories(tree: Mapping[str, str], split: npt.NDArray[Any], categories: int, number: int) -> None:
    bounds = _numbers(tree.get("cat_boundaries", ""), int)
    words = len(tree.get("cat_threshold", "").split())
    ordered = len(bounds) == categories + 1 and bool(np.all(np.diff(bounds) >= 0)) and _within(bounds, 0, words)
    if not ordered or not _within(split, 0, categories - 1):
        raise _wrong(number, "its sets of categories are not there")


def _numbers(text: str, kind: type[int] | type[float]) -> npt.NDArray[Any]:
    return np.array([kind(one) for one in text.split()], dtype=np.int64 if kind is int else np.float64)


def _within(found: npt.NDArray[Any], low: int, high: int) -> bool:
    return bool(np.all((found >= low) & (found <= high)))


def _pairs(block: str) -> dict[str, str]:
    return dict(_split(block))


def _split(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, mark, value = line.partition("=")
        if mark:
            yield name, value


def _wrong(number: int, why: str) -> CorruptError:
    return CorruptError(f"tree {number} of the LightGBM model is not one that the library wrote", why=why)
