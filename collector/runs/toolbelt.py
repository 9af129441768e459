"""The tools the agents of a run could use."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collector.model.facts import Kind
from collector.runs.actions import Action
from collector.runs.document import document, raw
from collector.runs.messages import first
from collector.runs.rounds import Round, recorded
from collector.runs.shapes import unflattened
from collector.runs.span import Span, by_time

_LISTS = ("gen_ai.tool.definitions", "ai.prompt.tools", "mlflow.chat.tools", "llm.openai.tools", "tools")
_INDEXED = ("llm.tools.", "llm.request.functions.")
_REQUESTS = (
    "request_data",
    "llm.invocation_parameters",
    "model_request_parameters",
    "langfuse.observation.model.parameters",
)
_ATTRIBUTES = (*_LISTS, *_INDEXED, *_REQUESTS)
# Of a tool span.
_OF_TOOLS = (
    *("gen_ai.tool.json_schema", "tool.json_schema"),
    *("gen_ai.tool.description", "tool.description", "tool.parameters"),
)
_MEMBERS = ("tools", "functions", "function_tools", "output_tools")
# One of the members, in JSON, in JSON within a string, or as Python prints it.
# Two expressions, as one that starts with a word is found at the speed of a word.
_MENTIONED = (re.compile(r"""tools\\*["']"""), re.compile(r"""functions\\*["']"""))
_HOLDERS = ("config", "kwargs", "invocation_params", "body")
_SCHEMAS = (
    "parameters",
    "input_schema",
    "inputSchema",
    "parameters_json_schema",
    "parametersJsonSchema",
    "schema",
    "json_schema",
)


@dataclass(frozen=True, slots=True)
class Tool:
    """`schema` is the JSON schema of the arguments as it was sent, empty when it was not.

    `asked` counts the requests in models' answers, `ran` the tool spans. `count` is how often it was called, as far
    as the run tells: a provider's client runs no tools, and answers may not be captured.
    """

    name: str
    description: str = ""
    schema: str = ""
    asked: int = 0
    ran: int = 0

    @property
    def count(self) -> int:
        return max(self.asked, self.ran)

    @property
    def called(self) -> bool:
        return self.count > 0


def toolbelt(spans: Iterable[Span], found: Sequence[Round] | None = None, parts: Sequence[Action] = ()) -> list[Tool]:
    """Every tool that was offered to a model or run, in the order they are met: definitions first, in order of time.

    `found` and `parts` are what `recorded` finds in the spans, where it is known already.
    A tool defined more than once has the first description and the first schema that are recorded.
    """
    ordered = sorted(spans, key=by_time)
    if found is None:
        found, parts = recorded(ordered)
    runs = [(name, action) for action in (*_actions(found), *parts) if (name := _ran(action))]
    names = {span.span_id: name for name, action in runs for span in action.spans}
    known: dict[str, Tool] = {}
    for span in ordered:
        for tool in _defined(span, names) if _may_define(span) else ():
            known[tool.name] = _merged(known.get(tool.name), tool)
    asked = Counter(call.name for each in found for call in each.requests if call.name)
    ran = Counter(name for name, _ in runs)
    return [
        Tool(name, *_recorded(known.get(name)), asked[name], ran[name])
        for name in dict.fromkeys((*known, *asked, *ran))
    ]


def _actions(found: Iterable[Round]) -> Iterator[Action]:
    return (action for each in found for action in each.actions)


def _ran(action: Action) -> str:
    """The tool that ran, by the name it was asked for; empty for agents and model calls."""
    if action.span.kind != Kind.TOOL:
        return ""
    if action.asked and action.asked.name:
        return action.asked.name
    return action.tool_name


def _merged(before: Tool | None, tool: Tool) -> Tool:
    if before is None:
        return tool
    if not (tool.description or tool.schema):
        return before
    return Tool(tool.name, before.description or tool.description, before.schema or tool.schema)


def _recorded(tool: Tool | None) -> tuple[str, str]:
    return (tool.description, tool.schema) if tool else ("", "")


def _may_define(span: Span) -> bool:
    """False only when `_defined` finds nothing; looking is much cheaper than parsing."""
    if span.kind == Kind.TOOL:
        return bool(span.tool_name)
    return span.may_have(_ATTRIBUTES) or _mentions_tools(span.input) or _mentions_tools(span.output)


def _defined(span: Span, names: Mapping[str, str]) -> Iterator[Tool]:
    """`names` are those by which tools are listed, by the ids of their spans."""
    if span.kind == Kind.TOOL:
        name = names.get(span.span_id, span.tool_name)
        if not span.may_have(_OF_TOOLS):
            yield Tool(name)
        else:
            schema = span.value("gen_ai.tool.json_schema") or span.value("tool.json_schema") or _schema_of(span)
            yield Tool(name, span.value("gen_ai.tool.description") or span.value("tool.description"), schema)
        return
    for definition in _definitions(span):
        yield from _tools(definition)


def _schema_of(span: Span) -> str:
    """OpenInference's tool.parameters is a schema, or the arguments of this call."""
    text = span.value("tool.parameters")
    value = document(text)
    return text if isinstance(value, dict) and "properties" in value else ""


def _definitions(span: Span) -> Iterator[Any]:
    if span.may_have(_ATTRIBUTES):
        yield from _in_attributes(span)
    for text in (span.input, span.output):
        yield from _in_request(text)


def _in_attributes(span: Span) -> Iterator[Any]:
    for key in _LISTS:
        value = document(span.value(key))
        yield from value if isinstance(value, list) else ()
    for prefix in _INDEXED:
        for item in unflattened(span.attributes, prefix):
            yield item.get("tool", item) if isinstance(item, dict) else item
    for key in _REQUESTS:
        yield from _in_request(span.value(key))


def _in_request(text: str) -> Iterator[Any]:
    if _mentions_tools(text):
        yield from _requested(document(text))


def _mentions_tools(text: str) -> bool:
    return any(mentioned.search(text) for mentioned in _MENTIONED)


def _requested(body: Any) -> Iterator[Any]:
    if not isinstance(body, dict):
        return
    for holder in (body, *(body.get(key) for key in _HOLDERS)):
        if isinstance(holder, dict):
            for key in _MEMBERS:
                tools = holder.get(key)
                yield from tools if isinstance(tools, list) else ()


def _tools(item: Any) -> Iterator[Tool]:
    """The tools one definition tells of; what is none, such as a printed object, gives none."""
    if isinstance(item, str):
        item = document(item)
    if not isinstance(item, dict):
        return
    if "json_schema" in item and "name" not in item:  # OpenInference: the definition is in its schema
        inner = item["json_schema"]
        yield from _tools(inner)
        return
    for key in ("function_declarations", "functionDeclarations"):
        for inner in item.get(key) or ():
            yield from _tools(inner)
    body = first(item, "function", "toolSpec")
    body = body if isinstance(body, dict) else item
    if isinstance(body.get("name"), str) and body["name"]:
        yield Tool(body["name"], raw(body.get("description")), _schema(first(body, *_SCHEMAS)))


def _schema(value: Any) -> str:
    """Bedrock wraps a schema in `json`."""
    if isinstance(value, dict) and value.keys() == {"json"}:
        value = value["json"]
    return raw(value)
