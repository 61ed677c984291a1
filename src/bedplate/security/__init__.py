"""Security: who may do what, how a credential is told from a guess, and how a record shows that it was not changed. Pure.

Decisions and computations on records: the time, randomness and every key come in as arguments; nothing here reads a file, a clock or a
database. `backends/` holds what stands on a library of its own, loaded by name. Limits: it enforces nothing; interfaces do.
"""
