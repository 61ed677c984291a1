"""Size as a form: its fields, the child that works it out, its answer."""
