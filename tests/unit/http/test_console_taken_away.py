"""What is taken away as CSV is text and numbers: nothing in it is a formula of a spreadsheet, wherever it stands."""

from __future__ import annotations

import csv
import io

import pytest

from bedplate.interfaces.http.console.charts import Axis, Chart, Series
from bedplate.interfaces.http.console.tables import Column, Link, State, Table
from bedplate.interfaces.http.door.asked import Reader
from bedplate.interfaces.http.door.endpoint import Asks, Fault

BEGINS = ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\N{FULLWIDTH EQUALS SIGN}1")


@pytest.mark.parametrize("odd", BEGINS)
def test_no_cell_is_a_formula(odd: str) -> None:
    """Heads, texts, links and states of tables; labels, words and axes of charts."""
    table = Table(name="t", columns=(Column(odd, "a"), Column("b", "b"), Column("c", "c")), rows=[(odd, Link(odd, "/"), State(odd))])
    chart = Chart(
        name="c", title="t", x=Axis(odd), y=Axis(odd), series=[Series(odd, [-1.0], [None], words=[odd])], draws="bars"
    )  # fmt: skip
    for taken in (table.csv(), chart.csv()):
        cells = [cell for row in csv.reader(io.StringIO(taken.decode(), newline="")) for cell in row]
        assert not [cell for cell in cells if cell.startswith(odd[0]) and cell != "-1.0"]
        assert f"'{odd}" in cells


class Numbered(Asks, frozen=True, kw_only=True):
    """A number, one that may be left out, and some."""

    one: int = 0
    other: int | None = None
    many: tuple[int, ...] = ()


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**40])
def test_numbers_that_no_record_has_are_the_callers_mistake(number: int) -> None:
    """In a query, in a path, in a body: they are refused before anything looks for them."""
    reader = Reader(Numbered)
    for ask in (
        lambda: reader.query(f"one={number}".encode(), {}), lambda: reader.query(f"other={number}".encode(), {}),
        lambda: reader.query(b"", {"one": str(number)}), lambda: reader.body(f'{{"one": {number}}}'.encode(), {}),
    ):  # fmt: skip
        with pytest.raises(Fault) as refused:
            ask()
        assert refused.value.status == 400
    assert reader.query(f"one={2**63 - 1}&other=-5&many=1".encode(), {}).other == -5
