"""What `size` is asked and what it answers: the records that every room of the planner, the terminal and the page share."""
