"""Signatures (Ed25519) and sealing (AES-256-GCM), by cryptography. Keys, nonces and what is bound come in as bytes."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def public_of(seed: bytes) -> str:
    """The public key, in hex, of a key's 32 bytes."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def signed(seed: bytes, message: bytes) -> str:
    """The signature of a message, in hex."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message).hex()


def is_signed(public: str, message: bytes, signature: str) -> bool:
    """Whether the key with that public half signed this message."""
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def sealed(key: bytes, nonce: bytes, text: str, bound: str) -> str:
    """A text under a key of 32 bytes, readable only with what it was bound to; `nonce` is 12 random bytes."""
    return (nonce + AESGCM(key).encrypt(nonce, text.encode(), bound.encode())).hex()


def opened(key: bytes, sealed_text: str, bound: str) -> str | None:
    """The text; None where the key is another, or a bit was changed."""
    try:
        raw = bytes.fromhex(sealed_text)
        return AESGCM(key).decrypt(raw[:12], raw[12:], bound.encode()).decode()
    except (InvalidTag, ValueError):
        return None
