"""Clients, each over one library."""
