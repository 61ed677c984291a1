"""What a parameter's default may say: where its value comes from, when it is not the plain wiring.

`tune` gives a setting its search range, `use` names another version than the head, `Secret` is text that never shows,
`daily`/`hourly` are keys for `each=`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from .errors import ProjectError


class Tune:
    """A setting with a range to search: numbers from `low` to `high`, or one of `choices`.

    Numbers and texts are made as numbers and texts that carry their range, so that in a plain call of the function (a unit test) the
    setting is its default.
    """

    default: Any = None
    low: float | None = None
    high: float | None = None
    choices: tuple[Any, ...] = ()
    log: bool = False

    def __bool__(self) -> bool:
        return bool(self.default)


class _Whole(int, Tune):
    __bool__ = int.__bool__


class _Number(float, Tune):
    __bool__ = float.__bool__


class _Text(str, Tune):
    def __bool__(self) -> bool:
        return len(self) > 0


def _tune(default: Any, **given: Any) -> Tune:
    made: Tune
    match default:
        case bool() | None:
            made = Tune()
        case int():
            made = _Whole(default)
        case float():
            made = _Number(default)
        case str():
            made = _Text(default)
        case _:
            made = Tune()
    for name, value in {"default": default, **given}.items():
        setattr(made, name, value)
    return made


class Use(msgspec.Struct, frozen=True):
    """Another version of an artifact than its head: `late@production`, `late@7`. In a plain call it is false, as an absent model."""

    ref: str

    def __bool__(self) -> bool:
        return False


def tune(*range_or_choices: Any, default: Any, log: bool = False) -> Any:
    """A setting with a range to search: `tune(15, 127, default=31)` or `tune("gini", "entropy", default="gini")`.

    Two numbers are a range from low to high; anything else is a list of choices. Raises ProjectError where the
    default lies outside.
    """
    values = range_or_choices
    if len(values) == 2 and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        low, high = values
        if not low <= default <= high:
            wrong = f"tune({low}, {high}, default={default}): the default lies outside the range"
            raise ProjectError(wrong, next="mend the range or the default")
        return _tune(default, low=low, high=high, log=log)
    if default not in values:
        wrong = f"tune{values!r}: the default {default!r} is not one of the choices"
        raise ProjectError(wrong, next="add it to them, or take one of them")
    return _tune(default, choices=tuple(values))


def use(ref: str) -> Any:
    """Receive another version than the head: `champion: Model = use("late@production")`."""
    return Use(ref)


class Secret:
    """Text that never reaches a log, plan, cache key or page. `reveal()` gives it.

    It is read from the environment (`api_token` from `API_TOKEN`). Where the step prints it after all, or a library's error shows it, it
    is masked as `****`: as it is, as `repr`, JSON or a URL write it, and in base64. Limits: not one of fewer than four characters, nor
    one changed in another way, nor what a step returns as its result; and with `compute = "inline"` what a step prints goes to your own
    terminal or notebook as it is.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(****)"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled")


class Keys(msgspec.Struct, frozen=True):
    """Keys by calendar for `each=`: one per period from `start` to the last whole period before now."""

    name: str
    start: str
    step_s: float
    end: str = ""

    def until(self, now: datetime) -> tuple[str, ...]:
        """The keys whose period has ended at `now` (days as `2025-01-31`, hours as `2025-01-31T07`)."""
        at = datetime.fromisoformat(self.start).replace(tzinfo=now.tzinfo)
        last = min(now, datetime.fromisoformat(self.end).replace(tzinfo=now.tzinfo)) if self.end else now
        step = timedelta(seconds=self.step_s)
        keys = []
        while at + step <= last:
            keys.append(at.date().isoformat() if self.step_s >= 86400 else at.strftime("%Y-%m-%dT%H"))
            at += step
        return tuple(keys)


def daily(start: str | date, *, end: str = "", name: str = "day") -> Keys:
    """One key a day, as the parameter `day`: `each=daily("2025-01-01")`. `end` is exclusive."""
    return Keys(name, str(start), 86400.0, end)


def hourly(start: str, *, end: str = "", name: str = "hour") -> Keys:
    """One key an hour, as the parameter `hour`: `each=hourly("2025-01-01")`. `end` is exclusive."""
    return Keys(name, start, 3600.0, end)
