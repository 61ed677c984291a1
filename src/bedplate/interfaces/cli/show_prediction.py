"""`bedplate show p-...`: one prediction, with what was asked, what answered, and where its time went."""

from __future__ import annotations

import importlib
from typing import Any, Final

from rich.console import Console
from rich.markup import escape

from bedplate.core.errors import NotFound
from bedplate.pipeline.served import logs
from bedplate.stages.deploy.trace import PARTS
from bedplate.stages.monitor.lately import Answer
from bedplate.storage.store import Store

from .blocks import bar
from .common import as_of, console, put_json, table

LOOKING: Final = "bedplate.stages.monitor.looking"
"""Loaded by name: it reads tables."""
_BAR: Final = 40
_SHADOWS: Final = "shadow/"
"""What shadows said has the ids of the answers that were given."""


def show_prediction(store: Store, id: str, as_json: bool) -> int:
    """Draw one. Raises NotFound where no log has it."""
    service, found = _found(store, id)
    if as_json:
        put_json({"service": service, "prediction": found})
        return 0
    out = console()
    came = "failed" if found.status >= 500 else "refused" if found.status >= 400 else "answered"
    out.print(f"[bold]{escape(found.id)}[/bold] of {escape(service)}: {came} ({found.status})")
    out.print(f"  latency  {found.latency_ms:.3g} ms, from the last byte of its request to its answer")
    out.print(f"  at       {as_of(found.at)} UTC, request {escape(found.request_id)}")
    out.print(f"  by       {escape(', '.join(found.versions) or 'nothing: it was refused before')}")
    out.print(f"  asked    {escape(_told(found.request))}", soft_wrap=True)
    out.print(f"  result   {escape(_told(found.result))}", soft_wrap=True)
    if found.error:
        out.print(f"  error    {escape(found.error)}", soft_wrap=True)
    if found.labelled:
        out.print(f"  label    {escape(_told(found.label))}", soft_wrap=True)
    if found.answer_of:
        out.print(f"  kept     the answer is that of {escape(found.answer_of)}, given again")
    if found.trace:
        _trace(out, found.trace)
    return 0


def _found(store: Store, id: str) -> tuple[str, Answer]:
    looking = importlib.import_module(LOOKING)
    for name in (one for one in logs(store) if not one.startswith(_SHADOWS)):
        answer: Answer | None = looking.answer(store, name, id)
        if answer is not None:
            return name, answer
    why = "no log has it; one that was just made is written within a second"
    raise NotFound(f"there is no prediction '{id}'", why=why, next="bedplate sql 'select prediction_id from SERVICE'")


def _trace(out: Console, trace: dict[str, Any]) -> None:
    """Where its time went: each part as a bar that begins where the one before ends."""
    times = [(name, float(trace.get(f"{name}_ms") or 0.0)) for name in PARTS]
    whole = sum(ms for _, ms in times)
    out.print(f"  trace    {trace.get('trace')}, {trace.get('why')}: where {whole:.3g} ms went,")
    out.print("           from its first byte until the client had its answer\n")
    drawn = table("part", "#ms", "#share", "")
    before = 0.0
    for name, ms in times:
        share = ms / whole if whole else 0.0
        blank = round(_BAR * before / whole) if whole else 0
        drawn.add_row(name, f"{ms:.3f}", f"{share:.1%}", " " * blank + bar(ms, whole, _BAR).rstrip()[: _BAR - blank])
        before += ms
    out.print(drawn)


def _told(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items()) or "nothing"
    return "nothing" if value is None else str(value)
