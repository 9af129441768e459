"""Signatures as receivers verify them: always by the library, never by our own arithmetic."""

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from collector.webhooks.signing import signed_headers, signers
from tests.support.webhooks import SECRET

OTHER = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@given(body=st.text(st.characters(exclude_categories=["Cs"])), key=st.binary(min_size=1, max_size=64))
def test_the_library_verifies_what_is_signed(body: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers("evt_1", time.time_ns(), body.encode(), [secret])
    Webhook(secret).verify(body, headers, json_parse=False)


def test_during_a_rotation_either_secret_verifies_and_a_third_does_not() -> None:
    headers = signed_headers("evt_1", time.time_ns(), b"{}", [SECRET, OTHER])
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert Webhook(SECRET).verify(b"{}", headers) == Webhook(OTHER).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_" + base64.b64encode(b"a third").decode()).verify(b"{}", headers)


@pytest.mark.parametrize("changed", ["webhook-id", "webhook-timestamp", "body"])
def test_a_webhook_that_was_changed_or_is_replayed_late_does_not_verify(changed: str) -> None:
    headers, body = signed_headers("evt_1", time.time_ns(), b'{"a":1}', [SECRET]), b'{"a":1}'
    if changed == "body":
        body = b'{"a":2}'
    else:
        headers[changed] = "evt_2" if changed == "webhook-id" else str(int(headers[changed]) - 1)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        Webhook(SECRET).verify(body, headers)
    late = signed_headers("evt_1", time.time_ns() - 301 * 10**9, b"{}", [SECRET])
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(SECRET).verify(b"{}", late)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not text.startswith("whsec_")))
def test_another_text_signs_by_its_bytes(secret: str) -> None:
    headers = signed_headers("evt_1", time.time_ns(), b"{}", [secret])
    assert Webhook(secret.encode()).verify(b"{}", headers) == {}


@given(st.binary(min_size=1, max_size=64), st.booleans())
def test_base64_without_the_prefix_verifies_as_the_library_reads_it_and_by_its_bytes(key: bytes, padded: bool) -> None:
    secret = base64.b64encode(key).decode()
    headers = signed_headers("evt_1", time.time_ns(), b"{}", [secret if padded else secret.rstrip("=")])
    assert Webhook(secret).verify(b"{}", headers) == {}
    assert Webhook(f"whsec_{secret}").verify(b"{}", headers) == {}


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "whsec_ü!", "whsec_not-base64!"])
def test_a_secret_that_cannot_sign_is_refused_without_being_said(secret: str) -> None:
    with pytest.raises(ValueError, match="a webhook's secret") as refused:
        signers(secret)
    assert secret.removeprefix("whsec_") in {"", "a"} or secret not in str(refused.value)


def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    assert set(signed_headers("evt_1", 0, b"", [])) == {"webhook-id", "webhook-timestamp"}
