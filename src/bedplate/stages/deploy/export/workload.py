"""What a served name needs of a cluster: processors and memory, from what is declared and from what the record measured.

Processors: the service's `cpu=`. Memory: its `memory=`; where it declares none, a server with nothing in it, and four times the bytes of
its models (they are loaded beside the old ones at a promotion). A figure that nobody declared or measured is said to be assumed.
"""

from __future__ import annotations

from typing import Any, Final

from bedplate.core.model import Remote
from bedplate.core.records import Record
from bedplate.storage.far import port

from .names import image, label
from .subject import Subject

PORT: Final = 8080
"""Where the proxy listens that asks for credentials."""
INNER: Final = 8000
"""Where the server listens, on loopback alone."""
USER: Final = 10001
_SERVER_BYTES: Final = 256 << 20
_LOADED: Final = 4
_BURST: Final = 2.0


class Workload(Record, frozen=True, kw_only=True):
    """What manifests are made of: names that were checked, images, replicas, needs, zones; `asks`: the ports of remote models."""

    name: str
    image: str
    proxy: str
    least: int
    most: int
    cpu_m: int
    memory_bytes: int
    basis: str
    remote: bool
    labels: dict[str, str]
    notes: dict[str, str]
    asks: tuple[int, ...] = ()


def workload(asked: Subject, given: str, name: str, proxy: str, replicas: tuple[int, int], remote: bool) -> Workload:
    """What is exported, as a cluster sees it. `remote`: its record is a database that is reached over the network. Raises UserError."""
    called = label(name or asked.name)
    declared = asked.needs.memory_bytes
    loaded = sum(one.version.size_bytes for one in asked.models)
    versions = {one.name: one.version.ref for one in asked.models}
    return Workload(
        name=called, image=image(given or f"{called}:latest"), proxy=image(proxy), least=replicas[0], most=max(replicas),
        cpu_m=max(100, round(asked.needs.cpu * 1000)), memory_bytes=declared or _SERVER_BYTES + _LOADED * loaded,
        basis="declared" if declared else "assumed: a server, and four times its models' bytes", remote=remote,
        labels={"app.kubernetes.io/name": called, "app.kubernetes.io/managed-by": "bedplate"},
        notes={f"bedplate/{part}": ref for part, ref in versions.items()},
        asks=tuple(sorted({port(one.model.native) for one in asked.models if isinstance(one.model.native, Remote)})),
    )  # fmt: skip


def meta(asked: Workload, **more: Any) -> dict[str, Any]:
    """The metadata of an object of this workload."""
    return {"name": asked.name, "labels": dict(asked.labels), **more}


def pod(asked: Workload) -> dict[str, Any]:
    """The pod: the proxy that asks for credentials, and the server behind it on loopback."""
    spread = [
        {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": "ScheduleAnyway", "labelSelector": {"matchLabels": _selects(asked)}}
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]
    return {
        "serviceAccountName": asked.name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 60,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": spread,
        "containers": [_proxy(asked), _server(asked)],
        "volumes": [
            {"name": "state", "emptyDir": {}},
            {"name": "server-tmp", "emptyDir": {}},
            {"name": "proxy-tmp", "emptyDir": {}},
            {"name": "proxy-made", "emptyDir": {}},
            {"name": "proxy-from", "configMap": {"name": f"{asked.name}-proxy"}},
        ],
    }  # fmt: skip


def _selects(asked: Workload) -> dict[str, str]:
    return {"app.kubernetes.io/name": asked.name}


def _server(asked: Workload) -> dict[str, Any]:
    answers = {"exec": {"command": ["python", "/app/healthy.py"]}, "timeoutSeconds": 5}
    made: dict[str, Any] = {
        "name": "server",
        "image": asked.image,
        "env": [{"name": "BEDPLATE_STATE", "value": "/state"}],
        "resources": _resources(asked.cpu_m, asked.memory_bytes),
        "startupProbe": {**answers, "periodSeconds": 2, "failureThreshold": 150},
        "readinessProbe": {**answers, "periodSeconds": 5},
        "livenessProbe": {"exec": {"command": ["python", "/app/healthy.py", "live"]}, "timeoutSeconds": 5, "periodSeconds": 10},
        "securityContext": _locked(),
        "volumeMounts": [{"name": "state", "mountPath": "/state"}, {"name": "server-tmp", "mountPath": "/tmp"}],
    }
    if asked.remote:
        made["envFrom"] = [{"secretRef": {"name": f"{asked.name}-record"}}]
    return made


def _proxy(asked: Workload) -> dict[str, Any]:
    """nginx without root: it asks for the token of the secret `NAME-token`, and hands on to loopback."""
    secret = {"secretKeyRef": {"name": f"{asked.name}-token", "key": "token"}}
    return {
        "name": "proxy",
        "image": asked.proxy,
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "BEDPLATE_TOKEN", "valueFrom": secret}, {"name": "NGINX_ENVSUBST_FILTER", "value": "^BEDPLATE_TOKEN$"}],
        "resources": _resources(100, 64 << 20),
        "readinessProbe": {"httpGet": {"path": "/health/ready", "port": "http"}, "periodSeconds": 5},
        "securityContext": _locked(),
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", "10"]}}},
        "volumeMounts": [
            {"name": "proxy-tmp", "mountPath": "/tmp"},
            {"name": "proxy-made", "mountPath": "/etc/nginx/conf.d"},
            {"name": "proxy-from", "mountPath": "/etc/nginx/templates", "readOnly": True},
        ],
    }


def _resources(cpu_m: int, memory_bytes: int) -> dict[str, dict[str, str]]:
    """Requests and limits: memory is the same in both, processors may be twice as many for a moment."""
    memory = f"{-(-memory_bytes // (1 << 20))}Mi"
    return {"requests": {"cpu": f"{cpu_m}m", "memory": memory}, "limits": {"cpu": f"{round(cpu_m * _BURST)}m", "memory": memory}}


def _locked() -> dict[str, Any]:
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


def proxy_config() -> str:
    """nginx's template: health is open, everything else needs the token; requests are not buffered longer than a server would take them."""
    return f"""map $http_authorization $may_enter {{
    default 0;
    "Bearer ${{BEDPLATE_TOKEN}}" 1;
}}
server {{
    listen {PORT};
    client_max_body_size 16m;
    location = /health/ready {{ proxy_pass http://127.0.0.1:{INNER}; }}
    location = /health/live {{ proxy_pass http://127.0.0.1:{INNER}; }}
    location / {{
        if ($may_enter = 0) {{ return 401; }}
        proxy_pass http://127.0.0.1:{INNER};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Authorization "";
        proxy_set_header Host 127.0.0.1:{INNER};
        proxy_read_timeout 60s;
    }}
}}
"""
