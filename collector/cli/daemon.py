"""Asking the running daemon from the command line."""

import json
import os
import urllib.error
import urllib.request
from http import HTTPStatus
from typing import Any

from collector.app import read_ports
from collector.config import Config
from collector.errors import Reason, Rejected, StartError, Unavailable

TOKEN_VARIABLE = "SPANMETER_TOKEN"  # noqa: S105 - the name of a variable


def web_address(config: Config) -> str:
    """The web address of the daemon on this data directory. Raises StartError when none has run there."""
    try:
        port = read_ports(config.directory)["web"]
    except (OSError, ValueError, KeyError):
        raise StartError(f"No daemon has run in {config.directory}; name its address with --url.") from None
    host = config.web.endpoint.rpartition(":")[0]
    return f"{'https' if config.web.tls.enabled else 'http'}://{host}:{port}"


def ask(url: str, path: str, body: dict[str, Any] | None = None, token_variable: str = TOKEN_VARIABLE) -> Any:
    """GET `path`, or POST `body` to it; the answer's JSON. Raises Rejected or Unavailable with a sentence."""
    data = None if body is None else json.dumps(body).encode()
    return json.loads(_answer(url, path, data, token_variable))


def download(url: str, path: str, token_variable: str = TOKEN_VARIABLE) -> bytes:
    """What is at `path`. Raises as `ask`."""
    return _answer(url, path, None, token_variable)


def _answer(url: str, path: str, data: bytes | None, token_variable: str) -> bytes:
    request = urllib.request.Request(url.rstrip("/") + path, data)  # noqa: S310 - the user's own address
    request.add_header("Accept", "*/*")
    if data:
        request.add_header("Content-Type", "application/json")
    if token := os.environ.get(token_variable):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:  # noqa: S310
            body: bytes = response.read()
            return body
    except urllib.error.HTTPError as error:
        sentence = f"{url} answered {error.code}: {_sentence(error)}"
        if error.code == HTTPStatus.SERVICE_UNAVAILABLE:
            raise Unavailable(Reason.STORE, sentence) from None
        raise Rejected(Reason.MALFORMED, sentence) from None
    except OSError as error:
        raise Unavailable(Reason.STORE, f"No daemon answers at {url}: {error}") from None


def _sentence(error: urllib.error.HTTPError) -> str:
    text = error.read().decode(errors="replace")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
