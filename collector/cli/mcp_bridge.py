"""MCP on standard input and output, handed on to the daemon's `/mcp`: what may be done is decided there, and logged.

Each request is one POST, which `/mcp` answers without knowing of any other. Only the handshake is answered here when no
daemon does: it may start later. Nothing of the SDK is needed for that, which takes long to import.
"""

import base64
import json
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from collector import __version__
from collector.cli.daemon import exchange, refusal
from collector.errors import Rejected, Unavailable
from collector.web.mcp.words import INSTRUCTIONS, PATH

_AT_ONCE: Final = 8
_PARSE_ERROR, _NO_METHOD, _INTERNAL_ERROR = -32700, -32601, -32603
_VERSION_KEY: Final = "io.modelcontextprotocol/protocolVersion"
# Versions of the protocol that begin with a handshake, the newest last.
_VERSIONS: Final = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")

_Message = dict[str, Any]


def serve(url: str, token_variable: str) -> None:
    """Answer until standard input ends. The daemon at `url` need not run yet: each request asks it anew."""
    bridge = _Bridge(url, token_variable)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mcp") as threads:
        for line in sys.stdin.buffer:
            if line.strip():
                threads.submit(bridge.take, line)


class _Bridge:
    def __init__(self, url: str, token_variable: str) -> None:
        self._url = url
        self._token_variable = token_variable
        self._version = ""  # which the handshake agreed upon
        self._writing = threading.Lock()

    def take(self, line: bytes) -> None:
        """Answer a message. Notifications have no answer, and tell the daemon nothing that it would remember."""
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            self._write(_error(None, _PARSE_ERROR, "A message is one line of JSON."))
            return
        if isinstance(message, dict) and message.get("id") is not None and "method" in message:
            self._write(self._answered(message))

    def _answered(self, message: _Message) -> _Message:
        try:
            answer = self._asked(message)
        except (Rejected, Unavailable) as error:
            return _failure(message, error)
        except Exception as error:  # noqa: BLE001 - whoever asked waits for an answer
            return _error(message["id"], _INTERNAL_ERROR, f"{self._url} gave no answer of MCP: {type(error).__name__}.")
        if message["method"] == "initialize" and "result" in answer:
            self._version = str(answer["result"].get("protocolVersion", ""))
        return answer

    def _asked(self, message: _Message) -> _Message:
        """The daemon's answer, errors of the protocol too. Raises Rejected and Unavailable for other refusals."""
        status, body = exchange(self._url, PATH, message, self._token_variable, self._headers(message))
        try:
            answer = json.loads(body)
        except ValueError:
            answer = None
        if isinstance(answer, dict) and answer.get("id") == message["id"]:
            return answer
        raise refusal(self._url, status, body)

    def _headers(self, message: _Message) -> Mapping[str, str]:
        """What HTTP has of a message in headers."""
        params = message.get("params")
        params = params if isinstance(params, dict) else {}
        meta = params.get("_meta")
        version = meta.get(_VERSION_KEY) if isinstance(meta, dict) else None
        named = {"mcp-protocol-version": version or self._version, "mcp-method": message["method"]}
        if message["method"] == "tools/call":
            named["mcp-name"] = params.get("name", "")
        written = {name: _header(str(value)) for name, value in named.items() if value}
        return {**written, "accept": "application/json, text/event-stream"}

    def _write(self, answer: _Message) -> None:
        line = json.dumps(answer, ensure_ascii=False, separators=(",", ":")).encode(errors="replace") + b"\n"
        with self._writing:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()


def _header(value: str) -> str:
    """A value as a header can have it."""
    if value.isascii() and value.isprintable() and value == value.strip():
        return value
    return f"=?base64?{base64.b64encode(value.encode(errors='replace')).decode()}?="


def _failure(message: _Message, error: Rejected | Unavailable) -> _Message:
    """What is answered when the daemon does not, or refuses who asks."""
    match message["method"]:
        case "initialize" if isinstance(error, Unavailable):
            return _result(message, _handshake(message))
        case "tools/call":
            return _result(message, {"content": [{"type": "text", "text": str(error)}], "isError": True})
        case "server/discover":  # clients then begin with the handshake
            return _error(message["id"], _NO_METHOD, str(error))
        case _:
            return _error(message["id"], _INTERNAL_ERROR, str(error))


def _handshake(message: _Message) -> _Message:
    params = message.get("params")
    asked = params.get("protocolVersion") if isinstance(params, dict) else None
    return {
        "protocolVersion": asked if asked in _VERSIONS else _VERSIONS[-1],
        "capabilities": {"tools": {"listChanged": False}},
        "serverInfo": {"name": "spanmeter", "version": __version__},
        "instructions": INSTRUCTIONS,
    }


def _result(message: _Message, result: _Message) -> _Message:
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


def _error(identifier: object, code: int, sentence: str) -> _Message:
    return {"jsonrpc": "2.0", "id": identifier, "error": {"code": code, "message": sentence}}
