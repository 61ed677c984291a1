"""Metaflow: its local runtime, a process for each step. The flow is written to a file, as its command wants it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import shapes


def chain(n: int) -> list[str]:
    """The steps of a chain: Metaflow's own first and last are two of them."""
    names = ["start", *(f"s{i}" for i in range(1, n - 1)), "end"]
    lines = ["class Work(FlowSpec):"]
    for at, name in enumerate(names):
        value = f"        self.value = {'0' if at == 0 else 'self.value'} + 1"
        following = [f"        self.next(self.{names[at + 1]})"] if at + 1 < n else [f"        assert self.value == {n}"]
        lines += ["    @step", f"    def {name}(self):", value, *following]
    return lines


def fan(n: int) -> list[str]:
    """A foreach over n, and its join."""
    return [
        "class Work(FlowSpec):",
        "    @step", "    def start(self):", f"        self.items = list(range({n}))", "        self.value = 1",
        "        self.next(self.work, foreach='items')",
        "    @step", "    def work(self):", "        self.value = self.value + 1", "        self.next(self.join)",
        "    @step", "    def join(self, inputs):", "        self.value = sum(i.value for i in inputs) + 1", "        self.next(self.end)",
        "    @step", "    def end(self):", f"        assert self.value == {shapes.result('fan', n)}",
    ]  # fmt: skip


shape, n = shapes.asked()
lines = ["from metaflow import FlowSpec, step", *(chain(n) if shape == "chain" else fan(n)), "if __name__ == '__main__':", "    Work()"]
Path("flow.py").write_text("\n".join(lines))
environ = {**os.environ, "USERNAME": "bench", "METAFLOW_DATASTORE_SYSROOT_LOCAL": str(Path.cwd())}
began = time.perf_counter()
command = [sys.executable, "flow.py", "--quiet", "run", "--max-workers", "2", "--max-num-splits", str(n)]
done = subprocess.run(command, env=environ, check=False)
shapes.told(time.perf_counter() - began, done.returncode, 0)
