"""Roll-outs: which version answers a request, and whether a new one goes on, is promoted or is rolled back. Pure."""
