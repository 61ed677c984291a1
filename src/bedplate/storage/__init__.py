"""Bytes, tables and everything else that is kept: see `store.Store`. Heavy libraries live in `backends/` and are loaded by name."""
