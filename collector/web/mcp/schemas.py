"""JSON schemas of tools, as short as they can be: each client's model pays for them in every conversation."""

from functools import cache
from typing import Any

from pydantic import TypeAdapter

from collector.web.mcp.tool import AnyTool

_Json = dict[str, Any]


@cache
def input_schema(tool: AnyTool) -> _Json:
    """What it takes. An argument that may be left out need not be told that it may be null."""
    schema: _Json = _short(tool.takes.model_json_schema(mode="validation"), optional=True)
    return schema


@cache
def output_schema(tool: AnyTool) -> _Json:
    """What it answers."""
    schema: _Json = _short(TypeAdapter(tool.answers).json_schema(mode="serialization"), optional=False)
    return schema


def _short(schema: Any, *, optional: bool) -> Any:
    if isinstance(schema, list):
        return [_short(each, optional=optional) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        key: {name: _short(each, optional=optional) for name, each in value.items()}
        if key in {"properties", "$defs"}
        else _short(value, optional=optional)
        for key, value in schema.items()
        if not (key == "title" or (key == "default" and value is None))
    }
    return _without_null(found) if optional else found


def _without_null(schema: _Json) -> _Json:
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        return {**choices[0], **rest}
    return schema
