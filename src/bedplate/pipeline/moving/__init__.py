"""Moving in from another tracker: what it holds is read as records, and written into the record once."""
