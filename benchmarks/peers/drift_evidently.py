"""Drift by evidently: its data-drift preset over both frames."""

from __future__ import annotations

import time

import pandas as pd
from evidently import Report
from evidently.presets import DataDriftPreset

before, now = (pd.read_feather(f"{name}.arrow") for name in ("before", "now"))
began = time.process_time()
result = Report([DataDriftPreset(method="psi")]).run(now, before)
print(f"inside={time.process_time() - began}")
assert result.dict()
