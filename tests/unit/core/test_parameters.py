"""Defaults that say more than a value stay values in a plain call."""

from __future__ import annotations

from typing import Any

import pytest

from bedplate.core.errors import ProjectError
from bedplate.core.parameters import Tune, tune, use
from bedplate.core.project import Project


@pytest.mark.parametrize("default", [31, 0, 0.5, "gini"])
def test_a_tuned_setting_is_its_default_in_a_plain_call(default: Any) -> None:
    given = tune(default, "other", default=default)
    assert isinstance(given, Tune)
    assert (given, bool(given), given.default) == (default, bool(default), default)


def test_a_tuned_choice_that_is_no_number_or_text_keeps_its_truth() -> None:
    """`bool` cannot be carried by a number of its own; its truth is kept."""
    assert not tune(True, False, default=False)
    assert tune(True, False, default=True)


def test_another_version_is_false_in_a_plain_call_as_an_absent_model_is() -> None:
    assert not use("late@production")


@pytest.mark.parametrize("wrong", [lambda: tune(1, 9, default=10), lambda: tune("a", "b", default="c")])
def test_a_default_outside_its_range_is_refused(wrong: Any) -> None:
    with pytest.raises(ProjectError, match="default"):
        wrong()


def test_a_misspelt_decorator_is_answered_with_the_nearest() -> None:
    """And a Project still answers `hasattr`, as copying and notebooks ask."""
    project = Project("p")
    with pytest.raises(ProjectError, match="a Project has no 'injest'") as raised:
        project.injest  # noqa: B018  # it is the looking up that raises
    assert raised.value.next == "did you mean 'ingest'?"
    assert not hasattr(project, "_repr_html_")


@pytest.mark.parametrize("given", [((1, 9), 12), (("a", "b"), "c")])
def test_a_default_that_tune_does_not_allow_says_what_to_do(given: tuple[tuple[Any, ...], Any]) -> None:
    with pytest.raises(ProjectError) as raised:
        tune(*given[0], default=given[1])
    assert raised.value.next
