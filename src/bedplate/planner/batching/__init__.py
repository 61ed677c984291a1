"""Micro-batches of rows: which requests a model answers together, and when. Pure: the server and the simulator drive the same object."""
