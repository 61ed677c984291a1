"""Time to train to a set quality: how many samples a benchmark takes at a global batch, and how fast many accelerators do a small batch."""
