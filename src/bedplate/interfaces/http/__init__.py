"""The only room that listens: services as JSON, models over the Open Inference Protocol, health, metrics and a page for people."""

from .server import Ready, Serving, serve

__all__ = ["Ready", "Serving", "serve"]
