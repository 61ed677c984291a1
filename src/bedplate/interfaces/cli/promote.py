"""`bedplate promote` and `bedplate rollback`: a person moves an alias, or tries a version beside the one in production."""

from __future__ import annotations

import click

from bedplate.core.errors import UserError
from bedplate.core.records import Promotion
from bedplate.planner.rollout.rule import SHADOW, WAYS, Rule, read
from bedplate.planner.rollout.rule import asked as asked_rule

from .common import console, put_json
from .platform import at_a_state, workspace
from .verb import Asked, verb


@verb("MODEL@VERSION", least=1, most=1)
@at_a_state
@click.option("--alias", default="production", show_default=True, help="The alias to give.")
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--canary", default="", metavar="SHARE", help="Try it: it answers this share of the requests, '5 %'.")
@click.option("--shadow", default="", metavar="SHARE", help="Try it: it is asked too, and nobody gets its answers.")
@click.option("--for", "time", default="", metavar="TIME", help="Promote the canary when it was well for so long, '30 min'.")
@click.option("--by", default="", metavar="KEY", help="The same version for the same KEY: a field of the request, or header:NAME.")
@click.option("--where", default="", metavar="KEY=VALUE", help="Try it on requests with this value only.")
@click.option("--within", default=0.0, metavar="NUMBER", help="Roll the shadow back where its numbers are further from production's.")
def command(
    asked: Asked, state: str, store: str, alias: str, reason: str, canary: str, shadow: str, time: str, by: str, where: str, within: float
) -> int:
    """Give MODEL@VERSION an alias, whatever its checks said; it frees a version that was rolled back from.

    With --canary or --shadow servers try it beside the version in production, and roll it back by themselves where it fails, is slower or
    gives no numbers.
    """
    rule = _rule(canary, shadow, time, by, where, within)
    place = workspace(asked, state, store)
    if rule is None:
        return _said(place.promote(asked.names[0], alias, reason), asked.as_json)
    return _said(place.roll_out(asked.names[0], WAYS[bool(shadow)], rule, reason), asked.as_json)


def _rule(canary: str, shadow: str, time: str, by: str, where: str, within: float) -> Rule | None:
    """The rule that the options say; None where nothing is tried. Raises UserError for options that do not go together."""
    if not (canary or shadow):
        if time or by or where or within:
            why = "--for, --by, --where and --within say how a version is tried"
            raise UserError("this tries nothing", why=why, next="add --canary '5 %', or leave them out")
        return None
    if canary and shadow:
        raise UserError("a version is tried as canary or as shadow", next="leave out one of them")
    if shadow and (time or by or where):
        raise UserError("a shadow has no --for, --by or --where", why="nobody gets its answers, and it is not promoted by itself")
    if canary and within:
        raise UserError("a canary has no --within", why="only a shadow is asked what production was asked", next="use --shadow '20 %'")
    return asked_rule(canary or shadow, time, within, by, where)


@verb("MODEL[@ALIAS]", least=1, most=1)
@at_a_state
@click.option("--alias", default="production", show_default=True, help="The alias to move.")
@click.option("--reason", default="", help="Why, for the record.")
def rollback(asked: Asked, state: str, store: str, alias: str, reason: str) -> int:
    """Take MODEL's alias back to the version before, and bar the one left from promotion by a check."""
    moved = workspace(asked, state, store).rollback(asked.names[0], alias, reason)
    return _said(moved, asked.as_json)


def _said(moved: Promotion, as_json: bool) -> int:
    if as_json:
        put_json(moved)
        return 0
    if moved.before == moved.version:
        console().print(f"[bold]{moved.model}@{moved.version}[/bold] is {moved.alias} already")
        return 0
    out, one = console(), f"{moved.model}@{moved.version}"
    before = f"{moved.model}@{moved.before}" if moved.before is not None else ""
    if moved.by == "rollback" and moved.alias in WAYS:
        out.print(f"{before} is {moved.alias} no more: [bold]{one}[/bold] answers alone", soft_wrap=True)
    else:
        rule = f": {'asked beside production for' if moved.alias == SHADOW else 'answers'} {moved.check}" if read(moved.check) else ""
        out.print(f"[bold]{one}[/bold] is now {moved.alias}{f' (before: {before})' if before else ''}{rule}", soft_wrap=True)
    if read(moved.check):
        out.print("next: [bold]bedplate watch SERVICE[/bold] puts both side by side", soft_wrap=True)
        out.print(
            f"end it: [bold]bedplate promote {one}[/bold] or [bold]bedplate rollback {moved.model}@{moved.alias}[/bold]", soft_wrap=True
        )
    if moved.by == "rollback":
        frees = f"[bold]bedplate promote {before}[/bold] frees it"
        out.print(f"{before} is barred: no check promotes it again; {frees}", soft_wrap=True)
    return 0
