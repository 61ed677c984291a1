"""What hardware costs: rented by the hour, committed to, reclaimed at will, or bought and kept."""
