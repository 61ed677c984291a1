"""`python -m bedplate` is `bedplate`."""

from __future__ import annotations

from .interfaces.cli import main

main()
