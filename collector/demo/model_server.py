"""A scripted stand-in for a model provider on loopback: chat completions with canned answers and plausible usage."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "gpt-4o-mini-2024-07-18"


def _script(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """First the model asks for the weather; once a tool has answered, it writes the plan."""
    if any(message["role"] == "tool" for message in messages):
        text = "Take the 9:12 train to Lisbon; pack a light jacket, it will be 19 degrees and dry."
        return _answer({"role": "assistant", "content": text}, "stop", prompt=412, cached=256, completion=31)
    call = {
        "id": "call_weather",
        "type": "function",
        "function": {"name": "get_weather", "arguments": json.dumps({"city": "Lisbon"})},
    }
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    return _answer(message, "tool_calls", prompt=328, cached=0, completion=18)


def _answer(
    message: dict[str, Any], finish_reason: str, *, prompt: int, cached: int, completion: int
) -> dict[str, Any]:
    usage = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"id": f"chatcmpl-{finish_reason}", "model": MODEL, "choices": [choice], "usage": usage}


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        body = json.dumps(_script(request["messages"])).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo's output is the run."""


@contextmanager
def model_server() -> Iterator[str]:
    """The server's base URL, while the block runs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, name="model-server", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
