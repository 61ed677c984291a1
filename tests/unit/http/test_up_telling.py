"""How one receiver that upsets the sender is met."""

from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from bedplate.core.clock import SystemClock
from bedplate.interfaces.http.up import telling


class Upset:
    """A client that fails as nobody thought of."""

    def __init__(self, *_: Any) -> None:
        """Take what a client is given."""

    def ask(self, *_: Any, **__: Any) -> NoReturn:
        raise RuntimeError("boo")


def test_what_nobody_thought_of_ends_one_delivery_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up like a refusal: raised, it would leave those sent beside it unsettled, and they would be sent again for ever."""
    monkeypatch.setattr(telling, "load", lambda *_: SimpleNamespace(Client=Upset, Limits=lambda *_: None))
    told = telling.Sender(SystemClock(), ()).send("http://example.org/", "run.finished", "d-1", "{}", "")
    assert (told.status, told.is_refused, told.said) == (None, True, "it could not be told: RuntimeError")
