"""Arithmetic and decisions on records: forecasts, plans. Pure: no clock, file, socket or print."""
