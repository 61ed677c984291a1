"""Wiring: declarations become a graph. Pure: signatures in, nodes and mistakes out; nothing is opened but source lines."""
