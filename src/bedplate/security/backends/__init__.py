"""Computations on the libraries for them: argon2id, Ed25519, AES-GCM, TOTP, strength of passwords, tokens of identity."""
