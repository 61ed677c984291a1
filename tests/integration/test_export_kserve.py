"""An exported InferenceService read by KServe's own models, in an environment of their own: nothing in it is unknown to them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from mlflow_clients import LISTS, python_of

from bedplate.stages.deploy.export import kserve
from bedplate.stages.deploy.export.workload import Workload


def test_kserve_understands_every_field_of_it() -> None:
    """What its models read and write again is what was exported: a field that they do not know would be lost."""
    made = kserve.service(
        Workload(
            name="late", image="registry.example.com/late:7", proxy="nginx:1", least=1, most=4, cpu_m=500, memory_bytes=1 << 28,
            basis="declared", remote=True, labels={"app.kubernetes.io/name": "late"}, notes={"bedplate/late": "late@7"},
        )
    )  # fmt: skip
    typed = [str(python_of("kserve")), str(Path(LISTS) / "kserve_reads.py")]
    done = subprocess.run(typed, input=json.dumps(made), capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == made
