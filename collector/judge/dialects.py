"""The two shapes of model endpoints: what is sent, and what of an answer counts. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from collector.errors import SpanmeterError
from collector.judge.prompt import Prompt
from collector.judge.question import Asking
from collector.model.usage import Usage

_ANTHROPIC_VERSION = "2023-06-01"
# What no count of tokens can be: providers meter far less, and a sum of it would not fit.
_MAX_TOKENS = 10**12


class Unreadable(SpanmeterError):  # noqa: N818 - of the server, not of ours
    """The body is not an answer in this dialect."""


class ModelAnswer(NamedTuple):
    """What a model answered. `refused`: by the API's own word; `cut`: it ended for want of tokens."""

    text: str
    model: str
    usage: Usage | None
    refused: bool
    cut: bool
    finish: str
    id: str


class Dialect(Protocol):
    """One shape of endpoints."""

    @property
    def provider(self) -> str:
        """As spans name the provider of this shape when nothing else is known."""
        ...

    def path(self) -> str:
        """Behind the base URL."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """What tells the server who asks; without a key, nobody."""
        ...

    def body(self, prompt: Prompt, asking: Asking, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        """The request; without a schema where the server takes none."""
        ...

    def answer(self, body: object) -> ModelAnswer:
        """What a 200 says. Raises Unreadable."""
        ...


class OpenAI:
    """POST /chat/completions, as OpenAI and most others have it."""

    provider = "openai"

    def path(self) -> str:
        return "/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        return {"authorization": f"Bearer {key}"} if key else {}

    def body(self, prompt: Prompt, asking: Asking, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        messages = [{"role": "system", "content": prompt.system}, {"role": "user", "content": prompt.user}]
        sent: dict[str, Any] = {"model": asking.model, "messages": messages, "max_completion_tokens": asking.max_tokens}
        if asking.temperature is not None:
            sent["temperature"] = asking.temperature
        if schema is not None:
            shape = {"name": "verdict", "strict": True, "schema": schema}
            sent["response_format"] = {"type": "json_schema", "json_schema": shape}
        return sent

    def answer(self, body: object) -> ModelAnswer:
        whole = _object(body)
        choices = whole.get("choices")
        if not isinstance(choices, list):
            raise Unreadable("it has no choices")
        choice = _object(choices[0]) if choices else {}
        message = _object(choice.get("message") or {})
        content, finish = message.get("content"), str(choice.get("finish_reason") or "")
        return ModelAnswer(
            text=content if isinstance(content, str) else _joined(content),
            model=str(whole.get("model") or ""),
            usage=self._usage(whole.get("usage")),
            refused=bool(message.get("refusal")) or finish == "content_filter",
            cut=finish == "length",
            finish=finish,
            id=str(whole.get("id") or ""),
        )

    @staticmethod
    def _usage(usage: object) -> Usage | None:
        if not isinstance(usage, dict):
            return None
        taken, given = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
        if taken is None or given is None:
            return None
        cached = _count(_object_or_empty(usage.get("prompt_tokens_details")).get("cached_tokens")) or 0
        thought = _count(_object_or_empty(usage.get("completion_tokens_details")).get("reasoning_tokens")) or 0
        return Usage(taken, given, cache_read_tokens=min(cached, taken), reasoning_tokens=min(thought, given))


class Anthropic:
    """POST /v1/messages, as Anthropic has it."""

    provider = "anthropic"

    def path(self) -> str:
        return "/messages"

    def headers(self, key: str) -> dict[str, str]:
        return {"anthropic-version": _ANTHROPIC_VERSION, **({"x-api-key": key} if key else {})}

    def body(self, prompt: Prompt, asking: Asking, schema: Mapping[str, Any] | None) -> dict[str, Any]:
        sent: dict[str, Any] = {
            "model": asking.model,
            "max_tokens": asking.max_tokens,
            "system": prompt.system,
            "messages": [{"role": "user", "content": prompt.user}],
        }
        if asking.temperature is not None:
            sent["temperature"] = asking.temperature
        if schema is not None:
            sent["output_config"] = {"format": {"type": "json_schema", "schema": schema}}
        return sent

    def answer(self, body: object) -> ModelAnswer:
        whole = _object(body)
        if not isinstance(whole.get("content"), list):
            raise Unreadable("it has no content")
        finish = str(whole.get("stop_reason") or "")
        return ModelAnswer(
            text=_joined(whole["content"]),
            model=str(whole.get("model") or ""),
            usage=self._usage(whole.get("usage")),
            refused=finish == "refusal",
            cut=finish == "max_tokens",
            finish=finish,
            id=str(whole.get("id") or ""),
        )

    @staticmethod
    def _usage(usage: object) -> Usage | None:
        """Inclusive totals: Anthropic counts what was cached beside its input."""
        if not isinstance(usage, dict):
            return None
        fresh, given = _count(usage.get("input_tokens")), _count(usage.get("output_tokens"))
        if fresh is None or given is None:
            return None
        read = _count(usage.get("cache_read_input_tokens")) or 0
        written = _count(usage.get("cache_creation_input_tokens")) or 0
        return Usage(fresh + read + written, given, cache_read_tokens=read, cache_write_tokens=written)


DIALECTS: Mapping[str, Dialect] = {"openai": OpenAI(), "anthropic": Anthropic()}


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable("it is not a JSON object where one is expected")
    return value


def _object_or_empty(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _joined(content: object) -> str:
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text") or "") for part in parts if isinstance(part, dict))


def _count(value: object) -> int | None:
    usable = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_TOKENS
    return value if usable else None  # type: ignore[return-value]
