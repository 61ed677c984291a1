"""Engines behind the port `Database`, loaded by name."""
