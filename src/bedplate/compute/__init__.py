"""Slots and executors: where a step's bytes are worked on. Knows nothing of steps, tables or models.

An executor starts jobs (bytes in, bytes out) and says how each ended; what a job means is the business of the handler that
assembly gives to the worker.
"""

from __future__ import annotations

from .executor import Ended, Executor, Handle, Job, Progress, Spent
from .slots import Slots, check_fits, fits, pick

__all__ = ["Ended", "Executor", "Handle", "Job", "Progress", "Slots", "Spent", "check_fits", "fits", "pick"]
