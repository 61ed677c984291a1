"""Tuning: a search over the ranges that `tune(...)` gives settings; each trial is an ordinary run with other settings."""
