"""A travel agent in three services, each with a real OpenTelemetry SDK and another OTLP exporter.

The planner sends OTLP/gRPC, the model client OTLP/HTTP protobuf, the tools OTLP/HTTP JSON; one run is one trace. Spans
follow the OpenTelemetry semantic conventions for generative AI.
"""

import json
import urllib.request
from contextlib import suppress
from typing import Any

from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter as JsonExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as ProtobufExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind

_SYSTEM = "You plan short trips. Look up the weather before you suggest what to pack."
_QUESTION = "I have one free day. Plan a trip to Lisbon."
_WEATHER = {"Lisbon": {"celsius": 19, "rain": False}}
_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tomorrow's weather in a city.",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
        },
    }
]


class Agent:
    """Runs the scripted conversation against a model server and exports its spans to a spanmeter; without `otlp_grpc`
    all of them by HTTP.
    """

    def __init__(self, model_url: str, otlp_grpc: str, otlp_http: str) -> None:
        self._model_url = model_url
        traces = f"{otlp_http}/v1/traces"
        planner = GrpcExporter(endpoint=otlp_grpc, insecure=True) if otlp_grpc else ProtobufExporter(endpoint=traces)
        self._providers = [
            _provider("travel-planner", planner),
            _provider("model-client", ProtobufExporter(endpoint=traces)),
            _provider("travel-tools", JsonExporter(endpoint=traces)),
        ]
        self._planner, self._models, self._tools = (
            provider.get_tracer("spanmeter.demo") for provider in self._providers
        )

    def run(self, case: str = "") -> str:
        """One run, of a case if it has a name: two model calls, a tool that works and one that fails; its trace id in
        hex.
        """
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": "travel-planner",
            "gen_ai.conversation.id": "demo-conversation",
            "user.id": "demo-user",
            **({"spanmeter.case": case} if case else {}),
        }
        with self._planner.start_as_current_span("invoke_agent travel-planner", attributes=attributes) as root:
            messages: list[dict[str, Any]] = [
                {"role": "system", "content": _SYSTEM},
                {"role": "user", "content": _QUESTION},
            ]
            with self._planner.start_as_current_span("plan"):
                answer = self._chat(messages)
            for call in answer["tool_calls"]:
                result = self._call_tool(call["function"]["name"], json.loads(call["function"]["arguments"]))
                messages += [answer, {"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)}]
            self._try_booking()
            final = self._chat(messages)
            root.set_attribute("gen_ai.output.messages", json.dumps([final]))
        return format(root.get_span_context().trace_id, "032x")

    def close(self) -> None:
        """Export what is left. Exporters report failures to the log."""
        for provider in self._providers:
            provider.shutdown()

    def _chat(self, messages: list[dict[str, Any]]) -> dict[str, Any]:
        request: dict[str, Any] = {"model": "gpt-4o-mini", "messages": messages, "tools": _TOOLS}
        attributes: dict[str, str] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": request["model"],
            "gen_ai.input.messages": json.dumps(messages),
            "gen_ai.tool.definitions": json.dumps(_TOOLS),
        }
        kind = SpanKind.CLIENT
        with self._models.start_as_current_span("chat gpt-4o-mini", kind=kind, attributes=attributes) as span:
            answer = self._post(request)
            usage, choice = answer["usage"], answer["choices"][0]
            span.set_attributes(
                {
                    "gen_ai.response.id": answer["id"],
                    "gen_ai.response.model": answer["model"],
                    "gen_ai.response.finish_reasons": [choice["finish_reason"]],
                    "gen_ai.usage.input_tokens": usage["prompt_tokens"],
                    "gen_ai.usage.cache_read.input_tokens": usage["prompt_tokens_details"]["cached_tokens"],
                    "gen_ai.usage.output_tokens": usage["completion_tokens"],
                    "gen_ai.output.messages": json.dumps([choice["message"]]),
                }
            )
        message: dict[str, Any] = choice["message"]
        return message

    def _post(self, request: dict[str, Any]) -> dict[str, Any]:
        call = urllib.request.Request(
            f"{self._model_url}/v1/chat/completions",
            data=json.dumps(request).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(call, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer

    def _call_tool(self, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.arguments": json.dumps(arguments),
        }
        with self._tools.start_as_current_span(f"execute_tool {name}", attributes=attributes) as span:
            result = _WEATHER[arguments["city"]]
            span.set_attribute("gen_ai.tool.call.result", json.dumps(result))
        return result

    def _try_booking(self) -> None:
        """The run's one error: the SDK records the exception and the error status by itself."""
        attributes = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "book_train"}
        with (
            suppress(ConnectionError),
            self._tools.start_as_current_span("execute_tool book_train", attributes=attributes),
        ):
            raise ConnectionError("the booking system does not answer")


def _provider(service: str, exporter: SpanExporter) -> TracerProvider:
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
