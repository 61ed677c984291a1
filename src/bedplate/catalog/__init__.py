"""The catalog: what exists and how it came to be. `Catalog` is its only door; SQL stays behind the port `Database`."""
