"""Manifests of a deployment: plain objects of Kubernetes, one file, in the order in which they are applied.

The server listens on loopback, as everywhere; what the cluster reaches is a proxy in the same pod that asks for a token, which the secret
`NAME-token` holds. A record on PostgreSQL and a bucket is named by the secret `NAME-record` (BEDPLATE_CATALOG, BEDPLATE_STORE); otherwise
the image brings a copy of the record, and what is predicted is gone with the pod. Neither secret is ever written here.

Limit: egress to a record is allowed by port, not by address: manifests do not know where it is.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from . import written
from .workload import PORT, Workload, meta, pod, proxy_config

_BUSY = 70
"""Per cent of the processors asked for, above which a replica is added."""
_RECORD_PORTS = (443, 5432)


def write(asked: Workload, folder: Path) -> None:
    """Write `manifests.yaml` into a folder."""
    written.manifest(folder / "manifests.yaml", *objects(asked))


def objects(asked: Workload) -> tuple[dict[str, Any], ...]:
    """Every object of the workload."""
    selects = {"matchLabels": {"app.kubernetes.io/name": asked.name}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta(asked), "automountServiceAccountToken": False}
    template = {"metadata": {"labels": dict(asked.labels), "annotations": dict(asked.notes)}, "spec": pod(asked)}
    deployment = {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta(asked, annotations={"bedplate/memory": asked.basis}),
        "spec": {
            "selector": selects, "revisionHistoryLimit": 5, "template": template,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        },
    }  # fmt: skip
    service = {
        "apiVersion": "v1", "kind": "Service", "metadata": meta(asked),
        "spec": {"selector": selects["matchLabels"], "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }  # fmt: skip
    return account, proxy_map(asked), deployment, service, _scaler(asked), _budget(asked), policy(asked)


def proxy_map(asked: Workload) -> dict[str, Any]:
    """The proxy's configuration, without the token."""
    name = f"{asked.name}-proxy"
    template = {"default.conf.template": proxy_config()}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**meta(asked), "name": name}, "data": template}


def _scaler(asked: Workload) -> dict[str, Any]:
    """More replicas where processors are busy; fewer again slowly."""
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": asked.name}
    busy = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _BUSY}}}
    return {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": meta(asked),
        "spec": {
            "scaleTargetRef": target, "minReplicas": asked.least, "maxReplicas": asked.most, "metrics": [busy],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 300}},
        },
    }  # fmt: skip


def _budget(asked: Workload) -> dict[str, Any]:
    """One replica at most is taken away at once."""
    selects = {"matchLabels": {"app.kubernetes.io/name": asked.name}}
    spec = {"maxUnavailable": 1, "selector": selects, "unhealthyPodEvictionPolicy": "AlwaysAllow"}
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta(asked), "spec": spec}


def policy(asked: Workload) -> dict[str, Any]:
    """In: the proxy's port. Out: names, and the ports of a record elsewhere and of the servers that have its remote models."""
    names = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
    reached = [*(_RECORD_PORTS if asked.remote else ()), *asked.asks]
    others = {"ports": [{"protocol": "TCP", "port": port} for port in dict.fromkeys(reached)]}
    return {
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": meta(asked),
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": asked.name}}, "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": [{"protocol": "TCP", "port": PORT}]}], "egress": [names, others] if reached else [],
        },
    }  # fmt: skip
