"""What stands beside the server: the project's code, which it never imports. Children look at it (`glance.py`), run it (`begun.py`)."""
