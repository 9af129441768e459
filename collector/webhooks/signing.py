"""The headers of Standard Webhooks, made by the library that receivers verify them with.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

_PREFIX = "whsec_"


def signed_headers(message_id: str, now_ns: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """Headers that identify, date and sign `body`: one signature a secret, so that either one verifies.

    Without secrets there is no signature. Raises ValueError as `signer` does.
    """
    at = datetime.fromtimestamp(now_ns // 10**9, UTC)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(now_ns // 10**9)}
    if signatures := [signer(secret).sign(message_id, at, body.decode()) for secret in secrets]:
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def signer(secret: str) -> Webhook:
    """What signs with `secret`, as the library reads the same text at the receiver.

    Text that is no base64 to the library counts as its bytes, which a receiver hands it as bytes.
    Raises ValueError, without the secret in its text, for `whsec_` before what is no base64, and for an empty one.
    """
    if not secret.removeprefix(_PREFIX):
        raise ValueError("a webhook's secret is empty")
    try:
        return Webhook(secret)
    except (ValueError, EmptyWebhookSecretError):
        if secret.startswith(_PREFIX):
            raise ValueError("a webhook's secret begins with whsec_ but does not go on in base64") from None
    return Webhook(secret.encode())
