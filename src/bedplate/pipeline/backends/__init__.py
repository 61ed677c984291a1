"""Libraries behind the pipeline, loaded by name when they are needed."""
