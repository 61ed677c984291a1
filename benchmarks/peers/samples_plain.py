"""The same files opened and read one by one, shuffled: by name (`plain`), or each also hashed (`hashed`), as bedplate does."""

from __future__ import annotations

import hashlib
import random
import sys
import time
from pathlib import Path

files = sorted(Path("raw").rglob("*.bin"))
random.Random(1).shuffle(files)
began = time.process_time()
size = 0
for file in files:
    data = file.read_bytes()
    size += len(data)
    if sys.argv[1] == "hashed":
        hashlib.sha256(data).digest()
print(f"inside={time.process_time() - began}")
assert size
