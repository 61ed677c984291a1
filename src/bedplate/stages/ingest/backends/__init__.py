"""What reads a source, each over one library, loaded by name when a source needs it."""
