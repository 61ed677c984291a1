"""The data: rows with numbers, times and text, drawn from a fixed seed. `frames.py table N`, `drift N` and
`events N` write Arrow files.
"""

from __future__ import annotations

import sys

import numpy as np
import polars as pl

rng = np.random.default_rng(7)


def table(n: int) -> pl.DataFrame:
    """n rows x 12 columns: an id, a time, six floats, two integers, two texts."""
    columns: dict[str, object] = {"id": np.arange(n), "at": pl.Series(np.arange(n) * 60_000_000).cast(pl.Datetime("us"))}
    columns |= {f"x{i}": rng.normal(size=n) for i in range(6)}
    columns |= {f"n{i}": rng.integers(0, 10**6, n) for i in range(2)}
    columns |= {f"t{i}": pl.Series(rng.integers(0, 500, n)).cast(pl.String) for i in range(2)}
    return pl.DataFrame(columns)


def drift(n: int, shift: float) -> pl.DataFrame:
    """n rows x 20 columns: 14 floats, three integers, three texts of 12 categories; a window is shifted."""
    columns: dict[str, object] = {f"x{i}": rng.normal(shift * (i % 3), 1.0, n) for i in range(14)}
    columns |= {f"n{i}": rng.poisson(5 + 10 * shift, n) for i in range(3)}
    columns |= {f"t{i}": pl.Series(np.minimum(rng.geometric(0.2 + shift / 10, n), 12)).cast(pl.String) for i in range(3)}
    return pl.DataFrame(columns)


def events(n: int) -> pl.DataFrame:
    """n events of n/100 entities, as they come: the entity as a number and as text, a time in some four months, three floats."""
    who = rng.integers(0, n // 100, n)
    times = pl.Series(rng.integers(0, 10**13, n)).cast(pl.Datetime("us"))
    columns: dict[str, object] = {"number": who, "text": pl.Series(who).cast(pl.String), "time": times}
    return pl.DataFrame(columns | {f"x{i}": rng.normal(size=n) for i in range(3)})


if __name__ == "__main__":
    what, rows = sys.argv[1], int(sys.argv[2])
    if what == "table":
        table(rows).write_ipc("frame.arrow")
    elif what == "events":
        events(rows).write_ipc("events.arrow")
        events(rows).head(rows // 10).select("number", "text", "time").write_ipc("labels.arrow")
    else:
        drift(rows, 0.0).write_ipc("before.arrow")
        drift(rows, 0.2).write_ipc("now.arrow")
