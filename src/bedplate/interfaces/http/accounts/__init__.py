"""Accounts over HTTP: MLflow's API for users and permissions, and our own for tokens, grants, second factors and the audit log."""
