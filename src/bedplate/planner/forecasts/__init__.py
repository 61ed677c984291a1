"""What a step is expected to take from its own history, what a plan adds up to, and whether its budget holds."""
