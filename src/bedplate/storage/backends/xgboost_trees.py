"""Whether an XGBoost model that strangers sent says what a model can: the library believes the numbers in it, and walks where they lead.

What is looked at is the model as the library writes it back (JSON): each tree must split on inputs that there are, lead from each node to
later ones, have sets of categories that are there, and belong to an output that there is. Limits: boosters of trees and linear ones only,
one value to a leaf; what the numbers mean is not judged.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from bedplate.core.errors import CorruptError

_MOST_GROUPS: Final = 10_000


def check(written: bytes) -> None:
    """Raise CorruptError where a tree of the model leads out of it; `written` is the model as JSON."""
    try:
        learner = msgspec.json.decode(written)["learner"]
        booster, about = learner["gradient_booster"], learner["learner_model_param"]
        groups = max(1, int(about.get("num_class", 0))) * max(1, int(about.get("num_target", 1)))
        features = int(about["num_feature"])
        if not 0 < groups <= _MOST_GROUPS or features < 1:
            raise _wrong("its counts are out of bounds")
        if booster["name"] == "gblinear":
            _check_linear(booster["model"], features, groups)
        else:
            _check_trees(booster["gbtree"]["model"] if booster["name"] == "dart" else booster["model"], features, groups)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, msgspec.DecodeError) as error:
        raise _wrong(f"{type(error).__name__}: {error}"[:200]) from None


def _check_linear(model: Any, features: int, groups: int) -> None:
    if len(model["weights"]) != (features + 1) * groups:
        raise _wrong("it has not a weight for each input")


def _check_trees(model: Any, features: int, groups: int) -> None:
    trees, owners = model["trees"], _numbers(model["tree_info"])
    ends = _numbers(model.get("iteration_indptr", [0, len(trees)]))
    if len(owners) != len(trees) or not _within(owners, 0, groups - 1):
        raise _wrong("a tree belongs to no output")
    if not _within(ends, 0, len(trees)) or not bool(np.all(np.diff(ends) >= 0)):
        raise _wrong("its rounds are not its trees")
    for tree in trees:
        _check_tree(tree, features)


def _check_tree(tree: Any, features: int) -> None:
    left, right = _numbers(tree["left_children"]), _numbers(tree["right_children"])
    count, own = len(left), np.arange(len(left))
    if not count or len(right) != count or int(tree["tree_param"].get("size_leaf_vector", 1)) > 1:
        raise _wrong("a tree has no nodes, or more than one value to a leaf")
    inner = left != -1
    if not np.array_equal(inner, right != -1):
        raise _wrong("a node has one child")
    for child in (left[inner], right[inner]):
        if not bool(np.all((child > own[inner]) & (child < count))):
            raise _wrong("a node leads to none")
    splits, kinds = _numbers(tree["split_indices"]), _numbers(tree.get("split_type", [0] * count))
    if len(splits) != count or len(kinds) != count or not _within(splits[inner], 0, features - 1):
        raise _wrong(f"a tree splits on an input beyond {features}")
    if len(tree["split_conditions"]) != count or len(tree["default_left"]) != count:
        raise _wrong("a tree has not a condition for each node")
    _check_categories(tree, own[inner & (kinds == 1)])


def _check_categories(tree: Any, nodes: npt.NDArray[np.int64]) -> None:
    listed, starts = _numbers(tree.get("categories_nodes", [])), _numbers(tree.get("categories_segments", []))
    sizes, categories = _numbers(tree.get("categories_sizes", [])), _numbers(tree.get("categories", []))
    if len({len(listed), len(starts), len(sizes)}) > 1 or not set(nodes.tolist()) <= set(listed.tolist()):
        raise _wrong("a tree's sets of categories are not there")
    if not _within(starts, 0, len(categories)) or not _within(sizes, 0, len(categories)) or not _within(starts + sizes, 0, len(categories)):
        raise _wrong("a tree's sets of categories are not there")
    if not _within(categories, 0, 1 << 24):
        raise _wrong("a category is out of bounds")


def _numbers(found: Any) -> npt.NDArray[np.int64]:
    return np.array(found, dtype=np.int64)


def _within(found: npt.NDArray[np.int64], low: int, high: int) -> bool:
    return bool(np.all((found >= low) & (found <= high)))


def _wrong(why: str) -> CorruptError:
    return CorruptError("the XGBoost model is not one that the library wrote", why=why)
