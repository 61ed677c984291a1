"""An InferenceService of KServe: the same pod as for plain Kubernetes, behind KServe's own routing and scaling.

KServe takes the first container for the model's, and its port; that is the proxy, which asks for the token. The server speaks the Open
Inference Protocol, so that KServe's clients ask it as they ask any other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import written
from .kubernetes import policy, proxy_map
from .workload import Workload, meta, pod

_BUSY = 70
"""Per cent of the processors asked for, above which a replica is added: the only measure, with memory, of a raw deployment."""


def write(asked: Workload, folder: Path) -> None:
    """Write `inference-service.yaml` into a folder."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(asked), "automountServiceAccountToken": False}
    written.manifest(folder / "inference-service.yaml", account, proxy_map(asked), policy(asked), service(asked))


def service(asked: Workload) -> dict[str, Any]:
    """The InferenceService."""
    spec = pod(asked)
    first, *others = spec.pop("containers")
    named = {**first, "name": "kserve-container", "ports": [{"name": "http1", **_port(first)}]}
    named["readinessProbe"] = {"httpGet": {"path": "/health/ready", "port": _port(first)["containerPort"]}, "periodSeconds": 5}
    predictor = {
        "minReplicas": asked.least, "maxReplicas": asked.most, "scaleMetric": "cpu", "scaleTarget": _BUSY, "timeout": 60,
        "labels": dict(asked.labels), "annotations": dict(asked.notes), **spec, "containers": [named, *others],
    }  # fmt: skip
    about = meta(asked, annotations={"serving.kserve.io/deploymentMode": "RawDeployment", "bedplate/memory": asked.basis})
    return {"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService", "metadata": about, "spec": {"predictor": predictor}}


def _port(container: dict[str, Any]) -> dict[str, int]:
    return {"containerPort": container["ports"][0]["containerPort"]}
