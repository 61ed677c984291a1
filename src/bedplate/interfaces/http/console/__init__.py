"""The console: what the record knows, as pages in a browser, and the changes that a role allows.

A page is a row of the table of routes as every endpoint is: `pages/` has one module for each part of the platform, whose answer reads
records from the catalog, and `frame.py` makes HTML of them by a template. Nothing here opens a file or a database, and nothing decides who
may: the gate has. `tables.py` and `charts.py` are what pages are made of, `assets/` what browsers load, `changes.py` tells them that
something happened. No page has a script or a style of its own in it: the policy that goes with each forbids them.
"""
