"""Graph, plan, run, retry, resume, cache and why: what has to run, and running it."""
