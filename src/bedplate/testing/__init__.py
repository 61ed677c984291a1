"""Shipped for tests: fakes, and a contract suite for each port. A backend is done when its suite passes."""
