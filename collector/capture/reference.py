"""Policies applied to parsed requests: what the native module has to equal, and what serves without it.

Fields that this version of OTLP does not know are dropped: nothing can be said of what is in them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from collector.capture.policies import AgentPolicies
from collector.model.capture import POLICY_ATTRIBUTE, Keeper, Kept, Policy
from collector.model.envelope import Signal

OfService = Callable[[str], AgentPolicies]

# The addresses of schemas that are kept, and their length in characters.
SCHEMAS: Final = "https://opentelemetry.io/schemas/"
MAX_SCHEMA_URL: Final = 80

_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8


def withhold(
    signal: Signal, request: Any, of_service: OfService, keeper: Keeper, agent_keys: frozenset[str]
) -> "Counter[Policy]":
    """Change a request to what the policies of its items leave of it; how many items each applied to."""
    rewriter = _Rewriter(of_service, keeper, agent_keys)
    {Signal.TRACES: rewriter.traces, Signal.LOGS: rewriter.logs, Signal.METRICS: rewriter.metrics}[signal](request)
    return rewriter.applied


class _Rewriter:
    """Changes one request in place."""

    def __init__(self, of_service: OfService, keeper: Keeper, agent_keys: frozenset[str]) -> None:
        self.applied: Counter[Policy] = Counter()
        self._of_service = of_service
        self._keeper = keeper
        self._agent_keys = agent_keys

    # -- signals --------------------------------------------------------------------------------------------------

    def traces(self, request: Any) -> None:
        for resource_spans in request.resource_spans:
            policies = self._policies(resource_spans.resource)
            of_scopes = [self._spans(scope_spans, policies) for scope_spans in resource_spans.scope_spans]
            self._resource(resource_spans, max(of_scopes, default=policies.unnamed))

    def _spans(self, scope_spans: Any, policies: AgentPolicies) -> Policy:
        """The strictest policy of its spans; without any it could be of any agent."""
        applied = []
        for span in scope_spans.spans:
            policy = policies.of(self._agents(span.attributes))
            applied.append(policy)
            if policy is not Policy.FULL:
                self.applied[policy] += 1
                self._span(span, policy)
        strictest = max(applied, default=policies.unnamed)
        self._scope(scope_spans, strictest)
        return strictest

    def logs(self, request: Any) -> None:
        for resource_logs in request.resource_logs:
            policies = self._policies(resource_logs.resource)
            of_scopes = [self._records(scope_logs, policies) for scope_logs in resource_logs.scope_logs]
            self._resource(resource_logs, max(of_scopes, default=policies.unnamed))

    def _records(self, scope_logs: Any, policies: AgentPolicies) -> Policy:
        applied, kept = [], []
        for record in scope_logs.log_records:
            policy = policies.of(self._agents(record.attributes))
            applied.append(policy)
            if policy is not Policy.OFF or self._of_session(record, scope_logs.scope.name):
                kept.append(record)
            if policy is not Policy.FULL:
                self.applied[policy] += 1
                self._record(record, scope_logs.scope.name, policy)
        _leave(scope_logs.log_records, kept)
        strictest = max(applied, default=policies.unnamed)
        self._scope(scope_logs, strictest)
        return strictest

    def metrics(self, request: Any) -> None:
        for resource_metrics in request.resource_metrics:
            policies, applied = self._policies(resource_metrics.resource), []
            for scope_metrics in resource_metrics.scope_metrics:
                of_metrics = [self._metric(metric, policies) for metric in scope_metrics.metrics]
                applied.append(max(of_metrics, default=policies.unnamed))
                self._scope(scope_metrics, applied[-1])
            self._resource(resource_metrics, max(applied, default=policies.unnamed))

    # -- items ----------------------------------------------------------------------------------------------------

    def _span(self, span: Any, policy: Policy) -> None:
        _ids(span)
        if len(span.parent_span_id) != _SPAN_ID_BYTES:
            span.parent_span_id = b""
        span.trace_state = ""
        span.name = self._keeper.name(policy, span.name)
        self._attributes(span.attributes, policy)
        if span.HasField("status"):
            span.status.message = ""
        for event in span.events:
            event.name = self._keeper.event(policy, event.name)
            self._attributes(event.attributes, policy)
        for link in span.links:
            _ids(link)
            link.trace_state = ""
            self._attributes(link.attributes, policy)
        if policy is Policy.OFF:
            del span.links[:]
        _mark(span.attributes, policy)

    def _record(self, record: Any, scope: str, policy: Policy) -> None:
        _ids(record)
        record.ClearField("body")
        record.severity_text = record.severity_text[:16] if policy is Policy.METADATA else ""
        if not self._keeper.tells_of_session(record.event_name, scope):
            record.event_name = self._keeper.event(policy, record.event_name)
        self._attributes(record.attributes, policy)
        _mark(record.attributes, policy)

    def _of_session(self, record: Any, scope: str) -> bool:
        named = next((each.value.string_value for each in record.attributes if each.key == "event.name"), "")
        return self._keeper.tells_of_session(named or record.event_name, scope)

    def _metric(self, metric: Any, policies: AgentPolicies) -> Policy:
        kind = metric.WhichOneof("data")
        points = getattr(metric, kind).data_points if kind else ()
        applied = Policy.FULL if points else policies.unnamed
        for point in points:
            policy = policies.of(self._agents(point.attributes))
            if policy is not Policy.FULL:
                self.applied[policy] += 1
                self._attributes(point.attributes, policy)
                for exemplar in getattr(point, "exemplars", ()):
                    _ids(exemplar)
                    self._attributes(exemplar.filtered_attributes, policy)
            applied = max(applied, policy)
        if kind and applied is Policy.OFF and not self._keeper.counts_tokens(metric.name):
            metric.ClearField(kind)
        if applied is not Policy.FULL:
            metric.description = ""
            del metric.metadata[:]
        return applied

    # -- what they share ------------------------------------------------------------------------------------------

    def _policies(self, resource: Any) -> AgentPolicies:
        return self._of_service(next((_text(each) for each in resource.attributes if each.key == "service.name"), ""))

    def _agents(self, attributes: Any) -> Iterable[str]:
        return [_text(each) for each in attributes if each.key in self._agent_keys]

    def _scope(self, scoped: Any, policy: Policy) -> None:
        if policy is not Policy.FULL:
            self._attributes(scoped.scope.attributes, policy)
            scoped.schema_url = _schema(scoped.schema_url)

    def _resource(self, of_resource: Any, policy: Policy) -> None:
        if policy is not Policy.FULL:
            of_resource.schema_url = _schema(of_resource.schema_url)
            if of_resource.HasField("resource"):
                self._attributes(of_resource.resource.attributes, policy)
                of_resource.resource.ClearField("entity_refs")

    def _attributes(self, attributes: Any, policy: Policy) -> None:
        kept = [each for each in attributes if each.key != POLICY_ATTRIBUTE and self._attribute(each, policy)]
        _leave(attributes, kept)

    def _attribute(self, attribute: Any, policy: Policy) -> bool:
        """Withhold what is not kept of one attribute; whether anything of it stays."""
        kept = self._keeper.kept(policy, attribute.key)
        if kept is Kept.NOTHING:
            return False
        if kept is Kept.NAME:
            attribute.value.string_value = ""
        else:
            self._value(attribute.key, attribute.value, kept)
        return True

    def _value(self, key: str, value: Any, kept: Kept) -> None:
        kind = value.WhichOneof("value")
        if kind == "string_value":
            text = value.string_value
            value.string_value = self._keeper.parts(key, text) if kept is Kept.PARTS else self._keeper.short(text)
        elif kind == "array_value" and kept is Kept.SHORT:
            for item in value.array_value.values:
                if item.WhichOneof("value") in ("array_value", "kvlist_value", "bytes_value"):
                    item.string_value = ""
                elif item.WhichOneof("value") == "string_value":
                    item.string_value = self._keeper.short(item.string_value)
        elif kind in ("array_value", "kvlist_value", "bytes_value"):
            value.string_value = ""


def _leave(items: Any, kept: list[Any]) -> None:
    """Remove all items but some."""
    if len(kept) < len(items):
        remaining = [type(each).FromString(each.SerializeToString()) for each in kept]
        del items[:]
        items.extend(remaining)


def _ids(item: Any) -> None:
    """Remove what is no id: it could be anything."""
    if len(item.trace_id) != _TRACE_ID_BYTES:
        item.trace_id = b""
    if len(item.span_id) != _SPAN_ID_BYTES:
        item.span_id = b""


def _mark(attributes: Any, policy: Policy) -> None:
    """Say which policy was applied."""
    attribute = attributes.add()
    attribute.key = POLICY_ATTRIBUTE
    attribute.value.string_value = policy.word


def _text(attribute: Any) -> str:
    return str(attribute.value.string_value)


def _schema(url: str) -> str:
    return url if url.startswith(SCHEMAS) and len(url) <= MAX_SCHEMA_URL else ""
