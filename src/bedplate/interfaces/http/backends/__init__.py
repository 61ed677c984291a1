"""What needs a library that is not always there; loaded by name when it is asked for."""
