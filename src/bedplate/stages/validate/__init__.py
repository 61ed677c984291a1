"""Validate: gates. A check says whether what it looked at is good enough, and promotes the model that it looked at."""

from .handler import Validate

__all__ = ["Validate"]
