"""`--set step.setting=value`: the option of the verbs that make or plan side versions, and how it is read."""

from __future__ import annotations

import click

from bedplate.core.errors import UserError

SETS = click.option(
    "--set", "sets", multiple=True, metavar="STEP.SETTING=VALUE", help="Another value than the default: makes side versions."
)


def settings_of(pairs: tuple[str, ...]) -> dict[str, str]:
    """`late.num_leaves=63` by name. Raises UserError for what is no such pair."""
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or "." not in name:
            raise UserError(f"--set {pair} is not right", next="write --set step.setting=value")
        settings[name] = value
    return settings
