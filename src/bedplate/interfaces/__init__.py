"""Doors: the command line, HTTP, and the worker process. They translate and never decide."""
