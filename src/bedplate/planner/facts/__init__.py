"""What is known: hardware, architectures, measured cases and fitted constants, each with its source; and a number with its range."""
