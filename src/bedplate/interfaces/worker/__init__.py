"""`bedplate work`: the process that a LocalExecutor starts. Turns its arguments into a fork server with a handler.

Not for people: the descriptor and the pid come from the controller that starts it.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
