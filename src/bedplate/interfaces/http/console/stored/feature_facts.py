"""What the record knows of a view of features: how it is keyed, by whom that was told, and how old its newest values are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from bedplate.catalog.catalog import Catalog
from bedplate.core.features import FeatureSpec
from bedplate.core.records import KeyParts, Version
from bedplate.core.units import show_days
from bedplate.interfaces.http.console.tables import State, Value
from bedplate.pipeline.why import FEATURES
from bedplate.stages.monitor.valued import Fresh, Known
from bedplate.storage.tables import FEATURES as KEYED

_DAY: Final = 86_400
_PARTS: Final = msgspec.json.Decoder(KeyParts)


def known(catalog: Catalog, version: Version) -> Known | None:
    """How a view is keyed: what the newest step that looked rows up was told, else what was so when it was made. None: nobody told."""
    made: Mapping[str, Any] = version.meta.get(KEYED) or {}
    found = catalog.listing.lookup(version.artifact)
    if found is not None and found[3]:
        parameter, run, step, parts = found
        spec = _PARTS.decode(parts).settings.get(f"{FEATURES}{parameter}")
        if isinstance(spec, dict):
            online = {"online": made["online"]} if "online" in made else {}
            return Known(spec={**online, **spec}, step=step, run=run)
    return Known(spec=dict(made)) if made else None


def spec_of(told: Known) -> FeatureSpec:
    """The same as a record."""
    return msgspec.convert(told.spec, FeatureSpec, strict=False)


def facts(told: Known) -> list[tuple[str, Value, str]]:
    """How a view is keyed, for people."""
    spec = spec_of(told)
    lines: list[tuple[str, Value, str]] = [("Entity", ", ".join(spec.entity), "code"), ("Holds from", spec.time, "code")]
    lines.append(("Known since", spec.created or "the same moment: no column says since when", "code" if spec.created else "text"))
    if spec.window_s:
        gives = ", ".join(f"{one.name} = {one.of}({one.column})" for one in spec.gives)
        lines += [("Window", show_days(spec.window_s), "text"), ("Gives", gives, "code")]
    lines.append(("Worth something for", show_days(spec.ttl_s) if spec.ttl_s else "ever", "text"))
    if "online" in told.spec:
        lines.append(("Online", "services look rows up in the online store" if spec.online else "in the memory of each server", "text"))
    return lines


def age(found: Fresh, spec: FeatureSpec, now: datetime) -> tuple[State, str]:
    """How the newest values stand against now and what they are worth, in a word and a sentence."""
    if found.newest is None:
        return State("no times", "off"), "its times are no moments, or it has no rows"
    passed = (now - found.newest).total_seconds()
    reach = spec.ttl_s or spec.window_s
    said = f"the newest value is of {found.newest:%Y-%m-%d %H:%M} UTC, {_ago(passed)}"
    if found.known is not None:
        said += f", the newest became known {_ago((now - found.known).total_seconds())}"
    if not reach:
        return State("no end", "off"), f"{said}; values are worth something for ever"
    if passed > reach:
        return State("stale", "bad"), f"{said}: older than the {show_days(reach)} that it is worth something, so look-ups of now are empty"
    return State("fresh", "good"), f"{said}, within the {show_days(reach)} that it is worth something"


def _ago(seconds: float) -> str:
    size = abs(seconds)
    shown = f"{size / _DAY:,.0f} days" if size > 3 * _DAY else show_days(size)
    return f"{shown} ago" if seconds >= 0 else f"{shown} ahead"
