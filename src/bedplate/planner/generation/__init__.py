"""Images and videos from diffusion models: work of a batch, its time on one or several accelerators, power and energy."""
