"""Who receives verdicts: one OTLP/HTTP endpoint, and what its answers mean."""

import gzip
import os
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from collector.config.verdict_export import HEADERS_ENV, VerdictExportConfig
from collector.errors import ConfigError
from collector.exports.evaluations import evaluation_records
from collector.model.clock import Clock
from collector.model.evaluations import Evaluation
from collector.webhooks.client import Answer, Client, NoAnswer
from collector.webhooks.endpoint import Endpoint
from collector.webhooks.retries import parse_retry_after

_NAME: Final = "evals.export"
_PROTOBUF: Final = "application/x-protobuf"
_NAME_OF_HEADER: Final = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
# The same bytes will be refused again. OTLP has more such statuses, 401 and 404 among them: these people mend.
_FOR_GOOD: Final = frozenset({400, 413, 415, 422})
_TOO_LARGE: Final = 413


class Sent(NamedTuple):
    """What became of some verdicts: how many were `rejected` for good, and why. `later`: all have to be sent again."""

    rejected: int = 0
    why: str = ""
    later: bool = False
    retry_after: float | None = None


class VerdictReceiver:
    """Sends verdicts. Raises ConfigError for headers that cannot be read."""

    def __init__(self, config: VerdictExportConfig, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._gzip = config.compression == "gzip"
        self._headers = headers_of(config.headers_env)
        self._endpoint = Endpoint(_NAME, config.url, (), allow_private=config.allow_private, timeout=config.timeout)

    async def send(self, found: Sequence[Evaluation]) -> Sent:
        """Send some verdicts; in halves, where they are too many for one request. Never raises."""
        body = evaluation_records(found).SerializeToString()
        headers = {"content-type": _PROTOBUF, **({"content-encoding": "gzip"} if self._gzip else {}), **self._headers}
        try:
            answer = await self._client.post(self._endpoint, headers, gzip.compress(body) if self._gzip else body)
        except NoAnswer as failure:
            return Sent(why=str(failure), later=True)
        if 200 <= answer.status < 300:
            return _rejections(answer)
        if answer.status == _TOO_LARGE and len(found) > 1:
            return await self._in_halves(found)
        why = f"{self._endpoint.address} answered {answer.status}."
        if answer.status in _FOR_GOOD:
            return Sent(len(found), why)
        return Sent(why=why, later=True, retry_after=parse_retry_after(answer.retry_after, self._clock.time_ns()))

    async def _in_halves(self, found: Sequence[Evaluation]) -> Sent:
        half = len(found) // 2
        first = await self.send(found[:half])
        if first.later:
            return first
        second = await self.send(found[half:])
        return second._replace(rejected=first.rejected + second.rejected, why=second.why or first.why)


def _rejections(answer: Answer) -> Sent:
    """What a success takes back."""
    try:
        told = ExportLogsServiceResponse.FromString(answer.content).partial_success
    except DecodeError:
        return Sent()
    return Sent(told.rejected_log_records, told.error_message[:300])


def headers_of(variable: str) -> Mapping[str, str]:
    """The headers in an environment variable, as OpenTelemetry writes them. Raises ConfigError, which says no value."""
    text = os.environ.get(variable, "") if variable else ""
    if not text and variable not in {"", HEADERS_ENV}:
        raise ConfigError(f"evals.export takes its headers from {variable}, which is not set.")
    headers = {}
    for pair in filter(None, map(str.strip, text.split(","))):
        name, _, value = pair.partition("=")
        key, said = name.strip().lower(), unquote(value.strip())
        if not _NAME_OF_HEADER.fullmatch(key) or not (said and said.isascii() and said.isprintable()):
            raise ConfigError(f"{variable}, of evals.export, is not of the form key=value,key2=value2.")
        headers[key] = said
    return headers
