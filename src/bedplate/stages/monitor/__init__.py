"""Monitor: drift, quality and traffic of what was served. Heavy modules here are loaded by the verb that needs them."""

from .handler import Watch

__all__ = ["Watch"]
