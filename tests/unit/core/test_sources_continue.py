"""When a step may go on from what it has seen."""

from __future__ import annotations

from bedplate.core.sources import Entry, continues

A = Entry("a.csv", "/old/a.csv", 1, "1")
ROWS = Entry("rows", "", 10, "int:10")


def test_a_file_that_was_moved_with_its_project_is_the_same() -> None:
    assert continues([A], [Entry("a.csv", "/new/a.csv", 1, "1"), Entry("b.csv", "/new/b.csv", 1, "1")])


def test_a_file_that_changed_or_went_ends_it() -> None:
    assert not continues([A], [Entry("a.csv", "/old/a.csv", 1, "2")])
    assert not continues([A], [])


def test_rows_that_were_only_added_to_go_on() -> None:
    assert continues([ROWS], [Entry("rows", "", 12, "int:12", follows="int:10")])
    assert not continues([ROWS], [Entry("rows", "", 12, "int:12", follows="int:9")])
    assert not continues([ROWS], [Entry("rows", "", 12, "int:12")])
