"""JSON over HTTP to the daemon's web port, with the standard library."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

from spanmeter.errors import BudgetError

NO_ANSWER = (OSError, http.client.HTTPException)


class WebPort:
    """The web port at `url`, an http:// or https:// URL. A request takes `timeout` seconds at most for each wait."""

    def __init__(self, url: str, token: str, timeout: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is not an http:// or https:// URL")
        self.url = url
        self._timeout = timeout
        self._headers = {"content-type": "application/json"}
        if token:
            self._headers["authorization"] = f"Bearer {token}"

    def post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises one of NO_ANSWER when the daemon does not answer or fails (5xx), BudgetError when it answers 4xx."""
        content = json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, content, self._headers)  # noqa: S310 - checked
        try:
            with _OPENER.open(request, timeout=self._timeout) as answer:
                return _object(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                if error.code >= 500:
                    raise
                raise BudgetError(_sentence(error.read(), error)) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The daemon never redirects, and whoever does must not get the token."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _object(text: bytes) -> Mapping[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise BudgetError("What answered is not spanmeter's web port: no JSON object.")
    return answer


def _sentence(text: bytes, error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP {error.code} {error.reason}"
