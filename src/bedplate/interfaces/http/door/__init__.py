"""The door: every request to the platform comes through here; see `endpoint` for what it takes to be answered."""
