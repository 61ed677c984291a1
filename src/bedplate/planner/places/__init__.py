"""Where machines stand: countries, and the electricity of their grids."""
