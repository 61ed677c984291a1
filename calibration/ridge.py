"""Effects of labels on a logarithm, drawn towards zero: the least-squares fit with a normal prior on every effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np


def shrunk(
    labels: Sequence[Sequence[str]], values: Sequence[float], *, noise: float, spreads: Mapping[str, float], prior: tuple[float, float]
) -> tuple[float, dict[str, float]]:
    """(base, effects) such that base + the effects of a row's labels come near its value.

    `noise`: standard deviation of a row; `spreads`: prior deviation of effects by the label's kind (what stands before the colon; other
    kinds are ignored); `prior`: mean and deviation of the base.
    """
    kinds = {label: spreads[label.split(":")[0]] for row in labels for label in row if label.split(":")[0] in spreads}
    names = sorted(kinds)
    place = {name: i + 1 for i, name in enumerate(names)}
    rows, right = [], []
    for row, value in zip(labels, values, strict=True):
        line = np.zeros(len(names) + 1)
        line[0] = 1.0
        for label in row:
            if label in place:
                line[place[label]] = 1.0
        rows.append(line / noise)
        right.append(value / noise)
    for i, deviation in enumerate([prior[1]] + [kinds[name] for name in names]):
        line = np.zeros(len(names) + 1)
        line[i] = 1.0 / deviation
        rows.append(line)
        right.append(prior[0] / deviation if i == 0 else 0.0)
    found = np.linalg.lstsq(np.array(rows), np.array(right), rcond=None)[0]
    return float(found[0]), {name: round(float(found[place[name]]), 5) for name in names}
