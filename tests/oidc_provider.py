"""A provider of identity on loopback: authorization code with PKCE, tokens signed with RS256. Its tokens can be told to be wrong.

Strict where a real one is: a code counts once, for its client, its redirect address and its verifier.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

CLIENT, SECRET = "bedplate", "a secret: of / the client"


class Provider:
    """What the provider knows, and how its next token is wrong: `claims` replace those of a right one, `sign` makes it."""

    def __init__(self) -> None:
        self.issuer = ""
        self.subject = "248289761001"
        self.username = "ann"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.claims: dict[str, Any] = {}
        self.algorithm = "RS256"
        self.codes: dict[str, dict[str, str]] = {}
        self.asked: list[str] = []

    def granted(self, asked: dict[str, str]) -> str:
        """A code for what a browser asked."""
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return code

    def exchanged(self, form: dict[str, str], authorization: str) -> dict[str, Any] | None:
        """The answer to a code; None where anything is not as it was asked."""
        asked = self.codes.pop(form.get("code", ""), None)
        pair = base64.b64decode(authorization.removeprefix("Basic ")).decode().split(":")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode().rstrip("=")
        right = asked is not None and pair == [CLIENT, "a%20secret%3A%20of%20%2F%20the%20client"]
        if asked is None or not right or asked["redirect_uri"] != form.get("redirect_uri") or asked["code_challenge"] != challenge:
            return None
        return {"access_token": "x", "token_type": "Bearer", "id_token": self.signed(asked["nonce"])}

    def signed(self, nonce: str) -> str:
        """A token of identity."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": self.subject, "iat": now, "exp": now + 300, "nonce": nonce,
            "preferred_username": self.username, **self.claims,
        }  # fmt: skip
        kept = {name: value for name, value in claims.items() if value is not None}
        if self.algorithm == "none":
            parts = (json.dumps({"alg": "none"}), json.dumps(kept), "")
            return ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        if self.algorithm == "HS256":
            public = self.key.as_pem(private=False)
            return jwt.encode({"alg": "HS256"}, kept, OctKey.import_key(public.replace(b"-----", b"")), algorithms=["HS256"])
        return jwt.encode({"alg": "RS256", "kid": "one"}, kept, self.key)


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider that answers."""
    known = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            known.asked.append(parts.path)
            if parts.path == "/authorize":
                asked = {name: found[0] for name, found in parse_qs(parts.query).items()}
                answer = urlencode({"code": known.granted(asked), "state": asked["state"], "iss": known.issuer})
                self.send_response(302)
                self.send_header("Location", f"{asked['redirect_uri']}?{answer}")
                self.end_headers()
                return
            told = {
                "/.well-known/openid-configuration": {
                    "issuer": known.issuer, "authorization_endpoint": f"{known.issuer}/authorize",
                    "token_endpoint": f"{known.issuer}/token", "jwks_uri": f"{known.issuer}/keys",
                },
                "/keys": {"keys": [known.key.as_dict(private=False)]},
            }  # fmt: skip
            self._say(200, told[parts.path])

        def do_POST(self) -> None:
            sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            answer = known.exchanged({name: found[0] for name, found in sent.items()}, self.headers.get("Authorization", ""))
            self._say(200 if answer else 400, answer or {"error": "invalid_grant"})

        def _say(self, status: int, told: Any) -> None:
            body = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: Any) -> None:
            """Nothing is printed."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield known
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
