"""Modules that import heavy or optional libraries; loaded by name when first needed."""
