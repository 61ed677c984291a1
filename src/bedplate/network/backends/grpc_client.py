"""The one outgoing client of gRPC, over grpcio: a message there, a message back.

Choices: gRPC resolves no name and knows no proxy: its channel goes to the very address that was checked here, under the host's own name in
the certificate and the authority. A channel that brought no answer is not used again, so that the next call resolves and checks anew. Size
and time are limits of the whole answer; nothing is compressed, and gRPC itself tries nothing again.
Limits: one message each way; certificates are those that the machine trusts (`SSL_CERT_FILE` names others).
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult

import grpc

from bedplate.core.errors import WorldError
from bedplate.network.guard import Network, called

from .reach import reach

_STATUS: Final = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "UNIMPLEMENTED": 501, "RESOURCE_EXHAUSTED": 429, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
"""A status of gRPC, as HTTP has it; others are 500."""
_TOO_LARGE: Final = "larger than max"


class Answer(NamedTuple):
    """What came back: HTTP's status for gRPC's own, the trailing metadata, and the message, or the words of the error."""

    status: int
    headers: dict[str, str]
    body: bytes


class GrpcClient:
    """Calls addresses of the outside, as `network.guard` allows. May be used by several threads."""

    def __init__(self, allowed: Sequence[Network], most_bytes: int) -> None:
        self._allowed = allowed
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._channels: dict[str, grpc.Channel] = {}

    def ask(self, url: str, time_s: float, token: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Call the method that is the path of `url`. Raises Refused for an address that may not be reached, WorldError for no answer."""
        parts = called(url)
        channel = self._channel(parts)
        metadata = [(name.lower(), value) for name, value in headers.items()]
        if token:
            metadata.append(("authorization", f"Bearer {token}"))
        try:
            call: Any = channel.unary_unary(parts.path)
            answer, said = call.with_call(body, timeout=max(0.001, time_s), metadata=metadata)
        except grpc.RpcError as error:
            return self._failed(parts, channel, error)
        return Answer(200, _told(said), answer)

    def close(self) -> None:
        """Let go of the connections."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def _failed(self, parts: SplitResult, channel: grpc.Channel, error: Any) -> Answer:
        """What an error says; one that the server did not send is no answer."""
        code, words, told = error.code().name, error.details() or "", _told(error)
        status = _STATUS.get(code, 500)
        if status in (503, 504):
            self._drop(parts, channel)
            if not told:
                why = f"{words} ({parts.scheme}://{parts.netloc})"
                raise WorldError(f"{parts.hostname} did not answer", why=why, next="ask again when it can be reached") from error
        if code == "RESOURCE_EXHAUSTED" and _TOO_LARGE in words:
            status = 413
        return Answer(status, told, words.encode())

    def _channel(self, parts: SplitResult) -> grpc.Channel:
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            channel = self._channels.get(origin)
        if channel is not None:
            return channel
        made = self._connected(parts)
        with self._lock:
            return self._channels.setdefault(origin, made)

    def _drop(self, parts: SplitResult, channel: grpc.Channel) -> None:
        """Use a channel no more; what others asked on it is answered."""
        origin = f"{parts.scheme}://{parts.netloc}"
        with self._lock:
            if self._channels.get(origin) is channel:
                del self._channels[origin]

    def _connected(self, parts: SplitResult) -> grpc.Channel:
        host, port = parts.hostname or "", parts.port or 0
        address = reach(host, port, self._allowed)
        target = f"ipv6:[{address}]:{port}" if ":" in address else f"ipv4:{address}:{port}"
        options: list[tuple[str, Any]] = [
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.service_config_disable_resolution", 1),
            ("grpc.compression_enabled_algorithms_bitset", 1),
            ("grpc.max_receive_message_length", self._most_bytes),
            ("grpc.max_send_message_length", self._most_bytes),
            ("grpc.default_authority", parts.netloc),
        ]
        if parts.scheme == "grpc":
            return grpc.insecure_channel(target, options)
        options.append(("grpc.ssl_target_name_override", host))
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(_roots()), options)


def _told(said: Any) -> dict[str, str]:
    """The trailing metadata that are text."""
    return {name: value for name, value in said.trailing_metadata() or () if isinstance(value, str)}


def _roots() -> bytes | None:
    """The certificates that the machine trusts; None: those that come with gRPC."""
    trusted = ssl.get_default_verify_paths().cafile
    return Path(trusted).read_bytes() if trusted else None
