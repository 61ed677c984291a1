"""What to type next names the target that was asked for: without it, the command would be about another record."""

from __future__ import annotations

import pytest

from bedplate.interfaces.cli.verb import tried


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("bedplate serve", "bedplate serve --target team"),
        ("mend it, then [bold]bedplate run[/bold] goes on", "mend it, then [bold]bedplate run --target team[/bold] goes on"),
        ("bedplate sql 'select * from costs'", "bedplate sql --target team 'select * from costs'"),
        ("bedplate show late@2; bedplate why late", "bedplate show --target team late@2; bedplate why --target team late"),
        ("bedplate target test", "bedplate target test team"),
        ("bedplate lint lists every name", "bedplate lint lists every name"),
        ("bedplate restore /mnt/b --target other", "bedplate restore /mnt/b --target other"),
    ],
)
def test_a_next_step_is_typed_for_the_target(said: str, typed: str) -> None:
    assert tried(said, "team") == typed
    assert tried(said, "") == said
