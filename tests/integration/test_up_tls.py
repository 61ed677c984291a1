"""TLS by flag: the certificate given is the one shown, and nothing is answered in the clear."""

from __future__ import annotations

import http.client
import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from up_site import API, as_process


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key, made for this test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "bedplate test")]), datetime.now(UTC)
    place = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).add_extension(place, critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    (folder / "cert.pem").write_bytes(made.public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(plain)
    return folder / "cert.pem", folder / "key.pem"


def test_a_server_with_a_certificate_speaks_tls_only(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with as_process(tmp_path, "--tls-cert", str(cert), "--tls-key", str(key)) as up:
        assert up.url.startswith("https://127.0.0.1:")
        port = int(up.url.rpartition(":")[2])
        trusting = ssl.create_default_context(cafile=str(cert))
        client = http.client.HTTPSConnection("127.0.0.1", port, context=trusting, timeout=20)
        headers = {"Authorization": f"Bearer {up.token}", "Content-Type": "application/json"}
        client.request("POST", f"{API}/experiments/search", '{"max_results": 1}', headers)
        assert client.getresponse().status == 200
        client.close()
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        plain.request("GET", "/health")
        with pytest.raises((http.client.HTTPException, OSError)):
            plain.getresponse()
        plain.close()
        stranger = http.client.HTTPSConnection("127.0.0.1", port, context=ssl.create_default_context(), timeout=20)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/health")
        stranger.close()
