"""The table of operations as OpenAPI 3.1. Schemas are pydantic's, of the types that handlers read and answer."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode

from collector import __version__
from collector.web.answers import Failure
from collector.web.operation import JSON, Answer, AnyOperation, Input
from collector.web.reading import MAX_BODY_BYTES

_REF: Final = "#/components/schemas/{model}"
_SCHEMES: Final = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "basic": {"type": "http", "scheme": "basic", "description": "The token as password, any user."},
    "api_key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
FAILURES: Final[Mapping[int, str]] = {
    400: "The request makes no sense; `message` says why.",
    401: "No known token.",
    403: "The token lacks the scope.",
    404: "There is no such thing, or the token may not see it.",
    405: "The path does not take this method.",
    408: "The body did not arrive in time.",
    413: f"The body is larger than {MAX_BODY_BYTES} bytes, or the answer takes more than the settings `reads` allow.",
    500: "A defect of spanmeter.",
    503: "Not now: the store does not answer, or too much is waiting.",
}
_RETRY: Final = {"retry-after": "Seconds until it is worth trying again."}

_Json = dict[str, Any]


def document(operations: Sequence[AnyOperation]) -> _Json:
    """The document, for `/api/v1/openapi.json`."""
    schemas = Schemas(operations)
    paths: dict[str, _Json] = {}
    for operation in operations:
        for method in operation.methods:
            paths.setdefault(operation.path, {})[method.lower()] = _operation(operation, method, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "spanmeter",
            "version": __version__,
            "description": "Runs, spend and budgets of LLM and agent traces. Without tokens in the settings, none is "
            'needed. Every failure is `{"error": {"reason", "message"}}`. Lists come in pages: `limit`, and as '
            "`after` the `next` of the page before.",
        },
        "paths": paths,
        "components": {"schemas": schemas.definitions, "securitySchemes": dict(_SCHEMES)},
    }


def parameters_of(operation: AnyOperation, schemas: "Schemas") -> list[_Json]:
    """Parameters in the path, the query, and headers, in this order."""
    inputs = (("path", operation.path_input), ("query", operation.query_input), ("header", operation.header_input))
    return [parameter for where, model in inputs if model for parameter in _parameters(where, model, schemas)]


def failures(operation: AnyOperation) -> Iterable[int]:
    """Statuses of failures that an operation may answer, besides those it lists itself."""
    yield from (400,) if operation.scope or _takes_input(operation) else ()
    yield from (401, 403) if operation.scope else ()
    yield from operation.errors
    yield from (408,) if operation.body_input else ()
    yield from (413,) if operation.scope else ()
    yield from (500, 503) if operation.scope else (500,)


def _takes_input(operation: AnyOperation) -> bool:
    return any((operation.path_input, operation.query_input, operation.body_input, operation.header_input))


class Schemas:
    """JSON schemas of every input and answer, with their definitions in one place."""

    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        shapes = {id(shape): (shape, mode) for shape, mode in _shapes(operations)}
        asked: list[tuple[int, JsonSchemaMode, TypeAdapter[Any]]] = [
            (key, mode, TypeAdapter(shape)) for key, (shape, mode) in shapes.items()
        ]
        found, definitions = TypeAdapter.json_schemas(asked, ref_template=_REF)
        self.definitions: _Json = definitions.get("$defs", {})
        self._by_shape = {key: schema for (key, _), schema in found.items()}

    def of(self, shape: object) -> _Json:
        """The schema of a type, a reference for most."""
        return dict(self._by_shape[id(shape)])

    def properties(self, model: type[Input]) -> _Json:
        """The schema of a model itself."""
        schema = self.of(model)
        return dict(self.definitions[schema["$ref"].rpartition("/")[2]]) if "$ref" in schema else schema


def _shapes(operations: Iterable[AnyOperation]) -> Iterable[tuple[Any, JsonSchemaMode]]:
    yield Failure, "serialization"
    for operation in operations:
        inputs = (operation.path_input, operation.query_input, operation.header_input, operation.body_input)
        yield from ((model, "validation") for model in inputs if model)
        for answer in operation.answers.values():
            yield from ((shape, "serialization") for shape in answer.shapes.values())


def _operation(operation: AnyOperation, method: str, schemas: Schemas) -> _Json:
    name = operation.name if operation.method == method else f"{operation.name}_{method.lower()}"
    found: _Json = {
        "operationId": name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "description": operation.description,
        "security": [{scheme: [operation.scope.value]} for scheme in _SCHEMES] if operation.scope else [],
        "responses": _responses(operation, schemas),
    }
    if parameters := parameters_of(operation, schemas):
        found["parameters"] = parameters
    if operation.body_input:
        content = {JSON: {"schema": schemas.of(operation.body_input)}}
        found["requestBody"] = {"required": _needs_body(operation.body_input), "content": content}
    return found


def _needs_body(model: type[Input]) -> bool:
    return any(field.is_required() for field in model.model_fields.values())


def _parameters(where: str, model: type[Input], schemas: Schemas) -> Iterable[_Json]:
    schema = schemas.properties(model)
    required = schema.get("required", ())
    for name, of in schema["properties"].items():
        text = of.get("description", "")
        bare = {key: value for key, value in of.items() if key not in {"description", "title"}}
        yield {"name": name, "in": where, "required": name in required, "description": text, "schema": bare}
    if where == "query" and model.model_config.get("extra") == "allow":
        text = "Further parameters, by name."
        free = {"type": "object", "additionalProperties": {"type": "string"}}
        yield {"name": "more", "in": where, "style": "form", "explode": True, "description": text, "schema": free}


def _responses(operation: AnyOperation, schemas: Schemas) -> _Json:
    found = {str(status): _response(answer, schemas) for status, answer in operation.answers.items()}
    for status in failures(operation):
        failure = _response(Answer(FAILURES[status], Failure, _RETRY if status == 503 else {}), schemas)
        if str(status) in found:
            _also(found[str(status)], failure)
        else:
            found[str(status)] = failure
    return dict(sorted(found.items()))


def _also(response: _Json, failure: _Json) -> None:
    """The same status may be an answer or a failure."""
    ours, theirs = response["content"][JSON], failure["content"][JSON]
    ours["schema"] = {"anyOf": [ours["schema"], theirs["schema"]]}


def _response(answer: Answer, schemas: Schemas) -> _Json:
    found: _Json = {"description": answer.text}
    if answer.headers:
        found["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    if answer.shapes:
        found["content"] = {_bare(name): {"schema": schemas.of(shape)} for name, shape in answer.shapes.items()}
    return found


def _bare(media_type: str) -> str:
    return re.split(r"\s*;", media_type)[0]
