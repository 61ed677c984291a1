"""How deliveries are signed, and when they are tried again."""

from __future__ import annotations

import base64

import pytest

from bedplate.security.webhooks import PAUSES_S, again_in, headers, signature


def test_a_signature_is_that_of_the_standard() -> None:
    """Proves it on the example of Standard Webhooks: another implementation gets the same."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", '{"test": 2432232314}'
    assert signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_secret_that_is_no_base64_is_its_own_bytes() -> None:
    """Proves that no secret is refused, and that two secrets never sign the same."""
    plain = signature("whsec_!", "d", 1, "")
    assert plain == signature("whsec_!", "d", 1, "") != signature("whsec_?", "d", 1, "")
    assert len(base64.b64decode(plain.removeprefix("v1,"))) == 32


def test_headers_are_those_of_the_event_s_own_form() -> None:
    """Proves that the registry's events are signed as MLflow's clients verify, ours as CloudEvents, and none without a secret."""
    theirs, ours = headers("MODEL_VERSION.CREATED", "d-1", 5, "{}", "s"), headers("drift.found", "d-1", 5, "{}", "s")
    assert set(theirs) == {"Content-Type", "X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"}
    assert set(ours) == {"Content-Type", "webhook-id", "webhook-timestamp", "webhook-signature"}
    assert ours["Content-Type"].startswith("application/cloudevents+json")
    assert "webhook-signature" not in headers("drift.found", "d-1", 5, "{}", "")


@pytest.mark.parametrize("status", [None, 408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_growing_pauses(status: int | None) -> None:
    """Proves that the pauses grow to about a day in all, each within a fifth of its own, and then end."""
    pauses = [again_in(tries, status, 0.0) for tries in range(1, len(PAUSES_S) + 1)]
    assert pauses == sorted(pauses, key=float) == list(map(float, PAUSES_S))
    assert 80_000 < sum(PAUSES_S) < 90_000
    assert again_in(1, status, 0.999) < 6.0
    assert again_in(len(PAUSES_S) + 1, status, 0.0) is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 410, 422, 501])
def test_what_will_not_pass_is_given_up(status: int) -> None:
    """Proves that a redirect and a refusal are final."""
    assert again_in(1, status, 0.0) is None
