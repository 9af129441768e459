"""Handler of the export of a run."""

import asyncio
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Final, NotRequired

import pyarrow as pa
from pydantic import Field, model_validator
from typing_extensions import TypedDict

from collector.errors import Reason, Rejected
from collector.exports.arrow import arrow_stream
from collector.exports.document import Verdicts, run_document
from collector.exports.evaluations import evaluation_records
from collector.exports.otlp import otlp_request
from collector.exports.otlp_json import plain
from collector.model.evaluations import Evaluation
from collector.model.json_text import json_bytes
from collector.model.principal import Principal
from collector.query.evaluations import EvaluationsWanted
from collector.query.service import MAX_SPANS_OF_RUN, Query
from collector.web.exports.html import html
from collector.web.exports.markdown import markdown
from collector.web.exports.view import Audience
from collector.web.inputs import one_of
from collector.web.operation import JSON, Call, Input, Result, Services
from collector.web.runs import TracePath, found

PROTOBUF: Final = "application/x-protobuf"
HTML_TYPE: Final = "text/html; charset=utf-8"
MARKDOWN_TYPE: Final = "text/markdown; charset=utf-8"
ARROW_TYPE: Final = "application/vnd.apache.arrow.stream"
_MAX_EVALUATIONS: Final = 10_000
OTHERS: Final = {PROTOBUF: bytes, ARROW_TYPE: bytes, HTML_TYPE: str, MARKDOWN_TYPE: str}


class Format(StrEnum):
    """What a run is exported as."""

    JSON = "json"
    OTLP = "otlp"
    HTML = "html"
    MD = "md"
    ARROW = "arrow"


class Encoding(StrEnum):
    """Of OTLP."""

    JSON = "json"
    PROTO = "proto"


class ExportQuery(Input):
    format: Annotated[Format, one_of(Format)] = Field(
        Format.JSON,
        description="`json` is one document (docs/run-export.schema.json); `otlp` the request that would store the run "
        "again, in JSON with its evaluations; `html` a page in one file, `md` Markdown of at most 60,000 characters, "
        "`arrow` the rows of `otel_traces`.",
    )
    audience: Annotated[Audience, one_of(Audience)] = Field(
        Audience.TEAM, description="Of `html` and `md`: for a `client` they have no costs and no attributes."
    )
    encoding: Annotated[Encoding | None, one_of(Encoding)] = Field(
        None, description="Of `otlp`: `json` or `proto`; by default as `Accept` says, else `json`."
    )

    @model_validator(mode="after")
    def _leaves_out_what_it_says(self) -> "ExportQuery":
        if self.audience is Audience.CLIENT and self.format not in {Format.HTML, Format.MD}:
            raise ValueError(f"format={self.format} has costs and attributes; for a client ask for html or md")
        return self


class OtlpTraces(TypedDict):
    """Requests of OTLP in their JSON encoding: receivers of traces and of logs take each what is theirs."""

    resourceSpans: Annotated[list[dict[str, Any]], Field(description="As the protocol has them.")]
    resourceLogs: NotRequired[
        Annotated[list[dict[str, Any]], Field(description="What was found of the run: `gen_ai.evaluation.result`.")]
    ]


async def export(services: Services, call: Call[TracePath, ExportQuery, None]) -> Result:
    return await asyncio.to_thread(_export, services, call)


def _export(services: Services, call: Call[TracePath, ExportQuery, None]) -> Result:
    query = services.query
    trace_id = call.path.trace_id.lower()
    spans = _spans(query, call.principal, trace_id)
    wanted = EvaluationsWanted(trace_ids=[trace_id], limit=_MAX_EVALUATIONS)
    found = () if call.query.format is Format.ARROW else query.evaluations(call.principal, wanted)
    doubted = services.calibration.uncalibrated(query, call.principal, found)
    return _written(trace_id, spans, Verdicts(found, doubted), call.query, _encoding(call))


def _written(trace_id: str, spans: pa.Table, verdicts: Verdicts, wanted: ExportQuery, encoding: Encoding) -> Result:
    match wanted.format:
        case Format.JSON:
            return _file(json_bytes(run_document(spans, verdicts=verdicts)), f"{trace_id}.json", JSON)
        case Format.HTML:
            return _file(html(spans, wanted.audience, verdicts), f"{trace_id}.html", HTML_TYPE)
        case Format.MD:
            return _file(markdown(spans, wanted.audience, verdicts), f"{trace_id}.md", MARKDOWN_TYPE)
        case Format.ARROW:
            return _file(arrow_stream(spans), f"{trace_id}.arrow", ARROW_TYPE)
        case Format.OTLP:
            return _otlp(trace_id, spans, verdicts.found, encoding)


def _spans(query: Query, principal: Principal, trace_id: str) -> pa.Table:
    """Every span of the run. Raises Rejected when there is none, or more than an answer holds."""
    spans = found(query.trace(principal, trace_id), principal, trace_id)
    if spans.num_rows == MAX_SPANS_OF_RUN:
        raise Rejected(
            Reason.TOO_LARGE,
            f"The run has {MAX_SPANS_OF_RUN} spans or more, which is too many for one file; read its rows by SQL from "
            "the table otel_traces.",
        )
    return spans


def _encoding(call: Call[TracePath, ExportQuery, None]) -> Encoding:
    if call.query.encoding:
        return call.query.encoding
    return Encoding.PROTO if PROTOBUF in call.headers.get("accept", "") else Encoding.JSON


def _otlp(trace_id: str, spans: pa.Table, found: Sequence[Evaluation], encoding: Encoding) -> Result:
    """In protobuf the spans alone: a request of it is of one signal."""
    request = otlp_request(spans)
    if encoding is Encoding.PROTO:
        return _file(request.SerializeToString(), f"{trace_id}.otlp.pb", PROTOBUF)
    document = plain(request) | plain(evaluation_records(found))
    return _file(json_bytes(document), f"{trace_id}.otlp.json", JSON)


def _file(body: bytes, name: str, media_type: str) -> Result:
    headers = {"content-disposition": f'attachment; filename="{name}"', "x-content-type-options": "nosniff"}
    return Result(body, headers=headers, media_type=media_type)
