"""The options of `bedplate size`: a limit is offered where it is heeded, and a load is read line by line."""

from __future__ import annotations

import io

import click
import pytest

from bedplate.core.errors import UserError
from bedplate.interfaces.cli.size_ask import _chosen, cost, numbers, serve, site, train

LIMITS = {"on", "gpus", "max_gpus", "by", "budget", "max_power", "region", "residency", "providers", "export", "terms"}


def _offered(command: click.Command) -> set[str]:
    return LIMITS & {option.name or "" for option in command.params}


def test_a_limit_without_effect_is_not_offered() -> None:
    assert _offered(cost) == {"budget", "region", "residency", "providers", "terms"}
    assert _offered(site) == {"by", "budget", "max_power", "region", "residency", "providers", "export"}
    assert _offered(serve) == LIMITS - {"by"}
    assert _offered(train) == LIMITS


def _file(content: bytes) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")


def test_a_load_is_a_number_a_line() -> None:
    assert numbers(_file(b"1\n2.5\n")) == (1.0, 2.5)


def test_an_answer_nested_without_end_is_no_answer() -> None:
    with pytest.raises(UserError, match="no answer of size"):
        _chosen(_file(b'{"best":' * 3000))


@pytest.mark.parametrize(("content", "said"), [(b"", "holds no number"), (b"1\ntwo\n", "line 2: 'two'"), (b"\xff\xfe\x00", "no text")])
def test_a_load_that_cannot_be_read_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        numbers(_file(content))
