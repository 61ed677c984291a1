"""The prepare handler, for `prepare`, `features` and `step`: what the function returns is what is stored.

The store checks a features table's entity and time columns as it writes them.
"""

from __future__ import annotations

from bedplate.pipeline.handlers import Call


class Prepare(Call):
    """Calls the function and checks the kinds of what comes back."""
