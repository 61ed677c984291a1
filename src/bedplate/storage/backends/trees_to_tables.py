"""Trees as tables of numbers for `trees.c`: quicker than comparisons as code, whose branches a processor guesses wrong on every new row.

Taken are ensembles of numeric splits with one value to a leaf and one answer to a row (regression, two classes), whose answer is their
sum or mean, as it is or through the logistic function. What is not taken is compiled as comparisons (`trees_to_c.py`).

Limits: sets of leaves have 64 places, so that trees with more leaves are walked only, and only where they are about as deep as they are
bushy; thresholds are finite.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

SOURCE: Final = Path(__file__).with_name("trees.c")
_C: Final = {"float32": "float", "float64": "double"}
_MOST_LEAVES, _MOST_TREES = 64, 4096
_UNEVEN: Final = 2.0
_POSTPROCESSORS: Final = ("identity", "identity_multiclass", "sigmoid")


class Split(msgspec.Struct, frozen=True):
    """A row goes right where the input in this place (twice its column, one more where what is missing goes right) is above."""

    place: int
    threshold: float
    left: int
    right: int


Tree = dict[int, "Split | float"]
"""Nodes by number, 0 first: splits, and the values of leaves."""


def written(model: Any, folder: Path) -> dict[str, Any] | None:
    """Write the model's tables and the code over them; what the caller of the library needs to know, None for a model not taken."""
    told = json.loads(model.dump_as_json())
    trees = _trees(told)
    if trees is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tables.h").write_text("\n".join(_tables(told, trees)) + "\n")
    (folder / SOURCE.name).write_bytes(SOURCE.read_bytes())
    return {"width": told["num_feature"], "outputs": 1, "flat": False}


def _trees(told: dict[str, Any]) -> list[Tree] | None:
    plain = (
        told["num_target"] == 1
        and told["num_class"] == [1]
        and told["leaf_vector_shape"] == [1, 1]
        and told["postprocessor"] in _POSTPROCESSORS
        and {told["threshold_type"], told["leaf_output_type"]} <= _C.keys()
    )
    if not plain or not told["trees"]:
        return None
    trees = [_tree(one["nodes"]) for one in told["trees"]]
    made = [one for one in trees if one is not None]
    if len(made) < len(trees):
        return None
    deep = sum(max(1, _depth(tree)) for tree in made)
    least = sum(max(1.0, math.log2(max(2, _leaves(tree)))) for tree in made)
    return made if _has_sets(made) or deep <= _UNEVEN * least else None


def _tree(nodes: Iterable[dict[str, Any]]) -> Tree | None:
    made: Tree = {}
    for node in nodes:
        if "leaf_value" in node:
            value = node["leaf_value"]
            if isinstance(value, list) or not math.isfinite(value):
                return None
            made[node["node_id"]] = float(value)
            continue
        operator, threshold = node.get("comparison_op"), node.get("threshold")
        if operator not in ("<=", "<") or not isinstance(threshold, int | float) or not math.isfinite(threshold):
            return None
        if operator == "<":
            threshold = math.nextafter(threshold, -math.inf)
        place = 2 * node["split_feature_id"] + (0 if node["default_left"] else 1)
        made[node["node_id"]] = Split(place, float(threshold), node["left_child"], node["right_child"])
    return made


def _depth(tree: Tree) -> int:
    deepest, level = 0, [0]
    while level := [child for at in level if isinstance(node := tree[at], Split) for child in (node.left, node.right)]:
        deepest += 1
    return deepest


def _leaves(tree: Tree) -> int:
    return sum(1 for node in tree.values() if isinstance(node, float))


def _has_sets(trees: Sequence[Tree]) -> bool:
    return len(trees) <= _MOST_TREES and max(map(_leaves, trees)) <= _MOST_LEAVES


def _tables(told: dict[str, Any], trees: Sequence[Tree]) -> list[str]:
    leaf = _C[told["leaf_output_type"]]
    sets = _has_sets(trees)
    lines = [
        f"#define TREES {len(trees)}",
        f"#define WIDTH {told['num_feature']}",
        f"#define NUMBER {_C[told['threshold_type']]}",
        f"#define LEAF {leaf}",
        f"#define AVERAGED {int(told['average_tree_output'])}",
        f"#define BASE ((LEAF){_number(told['base_scores'][0])})",
        f"#define SIGMOID {int(told['postprocessor'] == 'sigmoid')}",
        f"#define ALPHA ((LEAF){_number(told['sigmoid_alpha'])})",
        f"#define EXP {'exp' if leaf == 'double' else 'expf'}",
        f"#define SETS {int(sets)}",
        *_walked(trees),
    ]
    return [*lines, *_sets(trees, int(told["num_feature"]))] if sets else lines


def _walked(trees: Sequence[Tree]) -> list[str]:
    """Nodes by tree, level by level, so that a node's children are neighbours; an empty tree fills up the last eight."""
    nodes: list[str] = []
    leaves: list[float] = []
    first: list[int] = []
    empty: Tree = {0: 0.0}
    for tree in (*trees, empty):
        base, order, at = len(nodes), [0], 0
        first.append(base)
        while at < len(order):
            node = tree[order[at]]
            if isinstance(node, Split):
                nodes.append(f"{{{_number(node.threshold)},{node.place},{base + len(order)}}}")
                leaves.append(0.0)
                order += [node.left, node.right]
            else:
                nodes.append(f"{{INFINITY,0,{base + at}}}")
                leaves.append(node)
            at += 1
    depths = [*map(_depth, trees), 0]
    by_depth = [len(trees)] * (-len(trees) % 8) + sorted(range(len(trees)), key=depths.__getitem__)
    return [
        _array("struct { double threshold; int32_t input, next; }", "nodes", nodes),
        _array("LEAF", "leaf", map(_number, leaves)),
        _array("int32_t", "first", first),
        _array("int32_t", "depth", depths),
        _array("int32_t", "by_depth", by_depth),
    ]


def _sets(trees: Sequence[Tree], width: int) -> list[str]:
    """Splits by the place that they look at, least threshold first, with the leaves that a row keeps that passes one on the right."""
    wide = max(map(_leaves, trees)) > 32
    places: list[list[tuple[float, int, int]]] = [[] for _ in range(2 * width)]
    leaves: list[float] = []
    starts = []
    for number, tree in enumerate(trees):
        starts.append(len(leaves))
        _lay(tree, number, leaves, places)
    everything = (1 << (64 if wide else 32)) - 1
    splits = [split for place in places for split in sorted(place)]
    counts = [0]
    for place in places:
        counts.append(counts[-1] + len(place))
    return [
        f"#define SET {'uint64_t' if wide else 'uint32_t'}",
        f"#define LOWEST {'__builtin_ctzll' if wide else '__builtin_ctz'}",
        _array("double", "threshold", [*(_number(one[0]) for one in splits), "INFINITY"]),
        _array("int32_t", "tree_of", [*(one[1] for one in splits), 0]),
        _array("SET", "keeps", [*(f"{hex(everything & ~one[2])}u{'ll' if wide else ''}" for one in splits), 0]),
        _array("int32_t", "splits", counts),
        _array("LEAF", "leaves", map(_number, leaves)),
        _array("int32_t", "leaf_from", starts),
    ]


def _lay(tree: Tree, number: int, leaves: list[float], places: list[list[tuple[float, int, int]]]) -> None:
    """Put a tree's leaves in a row from left to right, and each split with the set of those to its left."""
    start = len(leaves)
    waiting: list[tuple[int, int]] = [(0, -1)]  # a node, or a split whose left side began at that leaf and is done
    while waiting:
        at, began = waiting.pop()
        node = tree[at]
        if isinstance(node, float):
            leaves.append(node)
        elif began < 0:
            waiting += [(at, len(leaves)), (node.left, -1)]
        else:
            below = (1 << (len(leaves) - start)) - (1 << (began - start))
            places[node.place].append((node.threshold, number, below))
            waiting.append((node.right, -1))


def _number(value: float) -> str:
    return "INFINITY" if math.isinf(value) else float(value).hex()


def _array(kind: str, name: str, values: Iterable[Any]) -> str:
    return f"static const {kind} {name}[] = {{{','.join(map(str, values))}}};"
