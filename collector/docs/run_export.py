"""docs/run-export.schema.json: the JSON export of a run, for those who read it."""

import json

from pydantic import TypeAdapter

from collector.exports.shapes import VERSION, RunExport

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def render_run_export() -> str:
    schema = TypeAdapter(RunExport).json_schema(mode="serialization")
    named = {"$schema": _DIALECT, "$id": f"urn:spanmeter:run-export:{VERSION}", **schema, "title": "Run export"}
    return json.dumps(named, indent=2, ensure_ascii=False) + "\n"
