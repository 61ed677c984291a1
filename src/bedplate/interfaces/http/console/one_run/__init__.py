"""What the page of one run shows: one module for each of its tabs, over the subject that they are about."""
