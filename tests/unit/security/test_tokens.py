"""Tokens and marks: long, unguessable, told from anything else before a look-up, compared in constant time."""

from __future__ import annotations

import ast
import base64
import hmac
import json
import random
import statistics
import time
from pathlib import Path

import pytest

from bedplate import security
from bedplate.interfaces.http import accounts, door
from bedplate.security import tokens

BITS = random.SystemRandom().getrandbits
SECRETS = ("csrf", "secret", "digest", "password", "kept", "state", "token", "code")


def test_a_thousand_tokens_have_nothing_in_common() -> None:
    """256 random bits each, no shared prefix but the public form, and what is kept is not the text (case ST-10)."""
    made = [tokens.mint("token", BITS) for _ in range(1000)]
    secrets = [one.text.removeprefix(f"bpt_{one.id}_") for one in made]
    assert len({one.id for one in made}) == len(set(secrets)) == 1000
    assert {len(base64.urlsafe_b64decode(secret + "=")) for secret in secrets} == {32}
    ones = sum(int.from_bytes(base64.urlsafe_b64decode(secret + "=")).bit_count() for secret in secrets)
    assert abs(ones / (1000 * 256) - 0.5) < 0.01
    assert all(secret not in one.digest and one.text not in one.digest for one, secret in zip(made, secrets, strict=True))


def test_only_the_very_token_matches() -> None:
    """One character off, another's digest, or none kept: no."""
    one, other = tokens.mint("token", BITS), tokens.mint("token", BITS)
    presented = tokens.read(one.text)
    assert presented is not None
    assert tokens.matches(presented, one.digest)
    assert not tokens.matches(presented, other.digest)
    assert not tokens.matches(presented, None)
    changed = tokens.read(one.text[:-1] + ("A" if one.text[-1] != "A" else "B"))
    assert changed is not None
    assert not tokens.matches(changed, one.digest)


def forged(header: dict[str, object], claims: str) -> str:
    parts = (json.dumps(header).encode(), claims.encode())
    body = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)
    signature = hmac.digest(b"", body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.parametrize(
    "text",
    [
        forged({"alg": "none"}, '{"sub":"admin"}'),
        forged({"alg": "HS256"}, '{"sub":"admin"}'),
        forged({"alg": "HS256", "crit": ["bork"]}, '{"sub":"admin"}'),
        forged({"alg": "HS256", "kid": "../../dev/null"}, '{"sub":"admin"}'),
        forged({"alg": "HS256"}, '{"sub":"eve","sub":"admin"}'),
        "",
        "bpt_",
        "bpt_0123456789abcdef_",
        "bpt_0123456789abcdef_" + "A" * 44,
        "bpt_0123456789ABCDEF_" + "A" * 43,
        "bpt_0123456789abcdef_" + "A" * 42 + "\n",
        "bpt_0123456789abcdef_" + "é" * 43,
        "bpx_0123456789abcdef_" + "A" * 43,
    ],
)
def test_what_is_no_token_is_not_looked_up(text: str) -> None:
    """JSON web tokens of any make, with `none`, a shared secret, `crit`, `kid` or twice a claim, are of no form of ours (ST-01, ST-03)."""
    assert tokens.read(text) is None


def test_a_mark_binds_each_part() -> None:
    """Parts cannot be shifted into one another, and another key marks otherwise."""
    key = bytes(32)
    assert tokens.mark(key, "ab", "c") != tokens.mark(key, "a", "bc")
    assert tokens.mark(key, "a") != tokens.mark(bytes([1]) * 32, "a")


def test_no_secret_is_compared_with_an_equals_sign() -> None:
    """Every comparison of what is secret goes through `hmac.compare_digest` (TM-02)."""
    folders = [Path(module.__path__[0]) for module in (security, door, accounts)]
    found = []
    for path in sorted(file for folder in folders for file in folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                names = {ast.unparse(side).rpartition(".")[2] for side in (node.left, *node.comparators)}
                literal = any(isinstance(side, ast.Constant) for side in (node.left, *node.comparators))
                found += [f"{path.name}:{node.lineno} {name}" for name in names if name in SECRETS and not literal]
    assert found == []


@pytest.mark.slow
def test_the_first_wrong_byte_tells_as_little_as_the_last() -> None:
    """Medians of 2,000 interleaved comparisons differ by less than 2 %, or 20 us (TM-02)."""
    kept = tokens.mint("token", BITS)
    wrong = {"first": "f" + kept.digest[1:], "last": kept.digest[:-1] + "f"}
    presented = tokens.Presented(kind="token", id=kept.id, digest=kept.digest)
    spent: dict[str, list[float]] = {"first": [], "last": []}
    for _ in range(2000):
        for place, digest in wrong.items():
            began = time.perf_counter()
            tokens.matches(presented, digest)
            spent[place].append(time.perf_counter() - began)
    first, last = statistics.median(spent["first"]), statistics.median(spent["last"])
    assert abs(first - last) < max(20e-6, 0.02 * last)
