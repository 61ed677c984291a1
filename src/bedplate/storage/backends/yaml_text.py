"""YAML as plain text values, through PyYAML's parser: no tag builds anything, and no alias repeats anything.

Choices: events are read, not objects, so that nothing of what a tag names is ever made; an alias is refused, for a few lines of them
stand for more than memory holds. Limits: 20,000 values; every scalar is text, null included ('' where it is empty or `null`).
"""

from __future__ import annotations

from typing import Any, Final

import yaml

from bedplate.core.errors import UserError

_MOST_DEPTH: Final = 20
_MOST_EVENTS: Final = 20_000
"""Some half a second's work: a server reads these while others wait."""
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})


def read(text: str, place: str) -> dict[str, Any]:
    """The mapping in a YAML text; scalars are text. Raises UserError for anything else, for tags, aliases and depth."""
    try:
        found = _value(_Events(text), place, 0)
    except yaml.YAMLError as error:
        raise UserError(f"{place} is no YAML", why=str(error)) from error
    if not isinstance(found, dict):
        raise UserError(f"{place} is no mapping", why="a tracker's descriptions are mappings")
    return found


class _Events:
    """The events of the first document, from its first value on."""

    def __init__(self, text: str) -> None:
        self._left = _MOST_EVENTS
        self._events = yaml.parse(text, Loader=yaml.SafeLoader)
        self._skip = (yaml.StreamStartEvent, yaml.DocumentStartEvent)

    def next(self) -> yaml.Event:
        for event in self._events:
            if not isinstance(event, self._skip):
                self._left -= 1
                if self._left < 0:
                    raise UserError("it has too many parts", why=f"it has more than {_MOST_EVENTS:,} values, which no tracker writes")
                return event
        return yaml.StreamEndEvent()


def _value(events: _Events, place: str, depth: int) -> Any:
    return _made(events.next(), events, place, depth)


def _made(event: yaml.Event, events: _Events, place: str, depth: int) -> Any:
    if getattr(event, "tag", None) is not None or isinstance(event, yaml.AliasEvent) or depth > _MOST_DEPTH:
        raise UserError(f"{place} is not read", why="it has a tag, an alias or too many levels, which no tracker writes")
    if isinstance(event, yaml.ScalarEvent):
        return "" if event.style is None and event.value in _NULL else event.value
    if isinstance(event, yaml.SequenceStartEvent):
        items = []
        while not isinstance(event := events.next(), yaml.SequenceEndEvent | yaml.StreamEndEvent):
            items.append(_made(event, events, place, depth + 1))
        return items
    if isinstance(event, yaml.MappingStartEvent):
        found = {}
        while not isinstance(event := events.next(), yaml.MappingEndEvent | yaml.StreamEndEvent):
            name = str(_made(event, events, place, depth + 1))
            found[name] = _value(events, place, depth + 1)
        return found
    return ""
