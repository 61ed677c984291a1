"""Code: loading a project and following what a step's function reaches, for its cache key. Reads source files, runs nothing."""
