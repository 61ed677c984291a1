"""What the page that compares runs is made of: their values, curves, plots, and where their code and data differ."""
