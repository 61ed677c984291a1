"""The words of the house: declarations, records, identity, units, errors. Imports nothing of bedplate's."""
