"""What a training step takes: time by part, memory by part, goodput; for one layout or an array of them."""
