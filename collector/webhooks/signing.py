"""The headers of Standard Webhooks, made by the library that receivers verify them with.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime

from standardwebhooks import Webhook

_PREFIX = "whsec_"


def signed_headers(message_id: str, now_ns: int, body: bytes, secrets: Iterable[str]) -> dict[str, str]:
    """Headers that identify, date and sign `body` with every secret, so that each of them verifies.

    Without secrets there is no signature. Raises ValueError as `signers` does.
    """
    at = datetime.fromtimestamp(now_ns // 10**9, UTC)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(now_ns // 10**9)}
    if signatures := [one.sign(message_id, at, body.decode()) for secret in secrets for one in signers(secret)]:
        headers["webhook-signature"] = " ".join(signatures)
    return headers


def signers(secret: str) -> list[Webhook]:
    """What signs with `secret`: the base64 after `whsec_`, or of another text its bytes.

    A text without the prefix that is base64 signs both ways: receivers that hand it to the library as text have it
    decoded. Raises ValueError, without the secret in its text, for `whsec_` before what is no base64, and for "".
    """
    bare = secret.removeprefix(_PREFIX)
    decoded = _decoded(bare)
    if secret.startswith(_PREFIX):
        if not decoded:
            raise ValueError("a webhook's secret begins with whsec_ but does not go on in base64")
        return [Webhook(decoded)]
    if not secret:
        raise ValueError("a webhook's secret is empty")
    return [Webhook(key) for key in (secret.encode(), decoded) if key]


def _decoded(text: str) -> bytes | None:
    """The bytes of base64, with or without its padding; None for what is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return None
