"""The search for a design: machines x counts x layouts x terms under limits, and the choice among them."""

from .size import size

__all__ = ["size"]
