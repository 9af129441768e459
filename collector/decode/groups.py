"""What the messages of logs and metrics have in common: rows in groups that share a resource and a scope."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from collector.decode import anyvalue, fingerprint
from collector.decode.builder import MapColumn
from collector.model.envelope import Envelope

_NO_ID = {16: bytes(16), 8: bytes(8)}
_INT64_MAX = 2**63 - 1


class GroupedRows:
    """Columns while they grow. What the rows of a scope share is appended once and repeated."""

    def __init__(self, schema: pa.Schema, maps: Sequence[str]) -> None:
        self._schema = schema
        self._columns: dict[str, list[Any]] = {}
        self.nested: dict[str, Any] = {name: MapColumn() for name in ("ResourceAttributes", "ScopeAttributes", *maps)}

    def column(self, name: str) -> list[Any]:
        return self._columns.setdefault(name, [])

    def share(self, envelope: Envelope, of_resource: Any, of_scope: Any, count: int) -> None:
        """What `count` rows have from a ResourceLogs or ResourceMetrics, and from a scope's messages within."""
        resource, scope = of_resource.resource, of_scope.scope
        for name, owner in (("ResourceAttributes", resource), ("ScopeAttributes", scope)):
            self.nested[name].append(owner.attributes)
            self.nested[name].repeat(count - 1)
        shared = {
            "ServiceName": service_name(resource),
            "ScopeName": scope.name,
            "ScopeVersion": scope.version,
            "ResourceSchemaUrl": of_resource.schema_url,
            "ScopeSchemaUrl": of_scope.schema_url,
            "Project": envelope.project,
            "ReceivedAt": envelope.received_at,
        }
        for name, value in shared.items():
            self.column(name).extend([value] * count)

    def batch(self) -> pa.RecordBatch:
        arrays = [
            self.nested[field.name].array()
            if field.name in self.nested
            else pa.array(self.column(field.name), field.type)
            for field in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)


def group_fingerprint(envelope: Envelope, of_resource: Any, of_scope: Any) -> int:
    """Of what `GroupedRows.share` appends, the time of receipt aside."""
    scope = of_scope.scope
    return fingerprint.words(
        fingerprint.text(envelope.project),
        fingerprint.attributes(of_resource.resource.attributes),
        fingerprint.text(of_resource.schema_url),
        fingerprint.text(scope.name),
        fingerprint.text(scope.version),
        fingerprint.attributes(scope.attributes),
        fingerprint.text(of_scope.schema_url),
    )


def service_name(resource: Any) -> str:
    """The text of the first service.name."""
    return next((anyvalue.text(pair.value) for pair in resource.attributes if pair.key == "service.name"), "")


def id_text(raw: bytes, size: int) -> str:
    """logs.proto: an id of the wrong length or all zero says that there is none."""
    return raw.hex() if len(raw) == size and raw != _NO_ID[size] else ""


def capped(nanoseconds: int) -> int:
    """A time as far as int64 goes."""
    return min(nanoseconds, _INT64_MAX)


def keep_only(items: Any, position: int) -> None:
    """Drop the others in place: that works at any depth, where copying the one parses it again."""
    del items[position + 1 :], items[:position]
