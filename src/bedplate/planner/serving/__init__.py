"""Serving: what an engine's iteration costs, what memory holds, and what a load makes of both."""
