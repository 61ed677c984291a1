"""A body that is no JSON is told what to send instead: for a number that JSON has not, for no body, and for anything else."""

from __future__ import annotations

import msgspec
import pytest

from bedplate.stages.deploy.misfits import no_json


@pytest.mark.parametrize(
    ("body", "what", "why", "step"),
    [
        (
            b'{"area": NaN}',
            "byte 9",
            "NaN is no number in JSON",
            "send null where there is no number, to a field that is declared `float | None`",
        ),
        (b'[{"a": 1}, {"a": -Infinity}]', "byte 18", "Infinity is no number in JSON", "send null where"),
        (b"", "it is empty", "one JSON object", "GET /docs shows its fields"),
        (b" \n", "it is empty", "one JSON object", "GET /docs shows its fields"),
        (b'{"a": "NaN", b}', "object keys must be strings", "", "send one JSON object, or an array of them"),
        (b"area=80", "invalid character", "", "send one JSON object, or an array of them"),
    ],
)
def test_a_body_that_is_no_json_is_told_what_to_send(body: bytes, what: str, why: str, step: str) -> None:
    with pytest.raises(msgspec.DecodeError) as raised:
        msgspec.json.decode(body)
    said = no_json(body, raised.value)
    assert said[0].startswith("the body is not JSON: ")
    assert all(words in one for words, one in zip((what, why, step), said, strict=True))
