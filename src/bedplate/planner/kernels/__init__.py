"""What one operation takes on one chip, and one collective on a fabric: rooflines and alpha-beta models on scalars or arrays."""
