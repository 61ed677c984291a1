"""The only room that listens: services as JSON, models over the Open Inference Protocol, health, metrics and a page for people."""

from .server import Ready, Serving, serve
from .verb import serve_parts, serve_site

__all__ = ["Ready", "Serving", "serve", "serve_parts", "serve_site"]
