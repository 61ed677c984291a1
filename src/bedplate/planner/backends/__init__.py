"""Solvers that the planner may be given."""
