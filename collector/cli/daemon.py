"""Asking the running daemon from the command line."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from collector.errors import Reason, Rejected, StartError, Unavailable
from collector.files import read_ports

if TYPE_CHECKING:  # the settings take long to import, and some who ask do without
    from collector.config import Config

TOKEN_VARIABLE = "SPANMETER_TOKEN"  # noqa: S105 - the name of a variable


def web_address(config: "Config") -> str:
    """The web address of the daemon on this data directory. Raises StartError when none has run there."""
    try:
        port = read_ports(config.directory)["web"]
    except (OSError, ValueError, KeyError):
        raise StartError(f"No daemon has run in {config.directory}; name its address with --url.") from None
    host = config.web.endpoint.rpartition(":")[0]
    return f"{'https' if config.web.tls.enabled else 'http'}://{host}:{port}"


def ask(url: str, path: str, body: dict[str, Any] | None = None, token_variable: str = TOKEN_VARIABLE) -> Any:
    """GET `path`, or POST `body` to it; the answer's JSON. Raises Rejected or Unavailable with a sentence."""
    return json.loads(_answer(url, path, body, token_variable))


def download(url: str, path: str, token_variable: str = TOKEN_VARIABLE) -> bytes:
    """What is at `path`. Raises as `ask`."""
    return _answer(url, path, None, token_variable)


def _answer(url: str, path: str, body: dict[str, Any] | None, token_variable: str) -> bytes:
    status, answer = exchange(url, path, body, token_variable, {"Accept": "*/*"})
    if status >= HTTPStatus.BAD_REQUEST:
        raise refusal(url, status, answer)
    return answer


def exchange(
    url: str, path: str, body: dict[str, Any] | None, token_variable: str, headers: Mapping[str, str]
) -> tuple[int, bytes]:
    """The status and the body of an answer, whatever it is. Raises Unavailable when there is none."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url.rstrip("/") + path, data, dict(headers))  # noqa: S310 - the user's own address
    if data:
        request.add_header("Content-Type", "application/json")
    if token := os.environ.get(token_variable):
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:  # noqa: S310
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        raise Unavailable(Reason.STORE, f"No daemon answers at {url}: {error}") from None


def refusal(url: str, status: int, answer: bytes) -> Rejected | Unavailable:
    """A refusal as an error with its sentence."""
    sentence = f"{url} answered {status}: {_sentence(answer)}"
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        return Unavailable(Reason.STORE, sentence)
    return Rejected(Reason.MALFORMED, sentence)


def _sentence(answer: bytes) -> str:
    text = answer.decode(errors="replace")
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:300]
