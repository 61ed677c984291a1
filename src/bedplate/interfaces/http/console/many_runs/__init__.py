"""What the table of runs is made of: how it is asked, its rows, the completion of its filter."""
