"""How many replicas there should be: a decision on what was measured, no process is started here."""
