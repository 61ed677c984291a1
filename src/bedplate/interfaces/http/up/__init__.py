"""`bedplate up`: one process in front of one record."""
