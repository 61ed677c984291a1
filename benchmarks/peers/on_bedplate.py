"""bedplate from Python: CPU of the run call alone (start, imports and the loading of the project's file are not in `inside`)."""

from __future__ import annotations

import time

import shapes

import bedplate

project = bedplate.open(".")
began = time.process_time()
summary = project.run()
took_s = time.process_time() - began
shapes.told(took_s, int(summary.ok), 1)
