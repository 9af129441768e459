"""Policies applied to parsed requests: what the native module has to equal, and what serves without it.

Fields that this version of OTLP does not know are dropped: nothing can be said of what is in them.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from collector.capture.policies import AgentPolicies
from collector.model.capture import POLICY_ATTRIBUTE, Keeper, Kept, Policy
from collector.model.envelope import Signal

OfService = Callable[[str], AgentPolicies]

_SCHEMAS = "https://opentelemetry.io/schemas/"
_LONGEST_SCHEMA_URL = 80


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
            policies, applied = self._policies(resource_spans.resource), Policy.FULL
            for scope_spans in resource_spans.scope_spans:
                of_scope = Policy.FULL
                for span in scope_spans.spans:
                    policy = policies.of(self._agents(span.attributes))
                    if policy is not Policy.FULL:
                        self.applied[policy] += 1
                        self._span(span, policy)
                    of_scope = max(of_scope, policy)
                self._scope(scope_spans, of_scope)
                applied = max(applied, of_scope)
            self._resource(resource_spans, applied)

    def logs(self, request: Any) -> None:
        for resource_logs in request.resource_logs:
            policies, applied = self._policies(resource_logs.resource), Policy.FULL
            for scope_logs in resource_logs.scope_logs:
                of_scope, kept = Policy.FULL, []
                for record in scope_logs.log_records:
                    policy = policies.of(self._agents(record.attributes))
                    if policy is not Policy.OFF or self._of_session(record, scope_logs.scope.name):
                        kept.append(record)
                    if policy is not Policy.FULL:
                        self.applied[policy] += 1
                        self._record(record, scope_logs.scope.name, policy)
                    of_scope = max(of_scope, policy)
                if len(kept) < len(scope_logs.log_records):
                    remaining = [type(record).FromString(record.SerializeToString()) for record in kept]
                    del scope_logs.log_records[:]
                    scope_logs.log_records.extend(remaining)
                self._scope(scope_logs, of_scope)
                applied = max(applied, of_scope)
            self._resource(resource_logs, applied)

    def metrics(self, request: Any) -> None:
        for resource_metrics in request.resource_metrics:
            policies, applied = self._policies(resource_metrics.resource), Policy.FULL
            for scope_metrics in resource_metrics.scope_metrics:
                of_scope = Policy.FULL
                for metric in scope_metrics.metrics:
                    of_scope = max(of_scope, self._metric(metric, policies))
                self._scope(scope_metrics, of_scope)
                applied = max(applied, of_scope)
            self._resource(resource_metrics, applied)

    # -- items ----------------------------------------------------------------------------------------------------

    def _span(self, span: Any, policy: Policy) -> None:
        span.trace_state = ""
        span.name = self._keeper.name(policy, span.name)
        self._attributes(span.attributes, policy)
        span.status.message = ""
        for event in span.events:
            event.name = self._keeper.event(policy, event.name)
            self._attributes(event.attributes, policy)
        for link in span.links:
            link.trace_state = ""
            self._attributes(link.attributes, policy)
        if policy is Policy.OFF:
            del span.links[:]
        _mark(span.attributes, policy)

    def _record(self, record: Any, scope: str, policy: Policy) -> None:
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
        applied = Policy.FULL
        for point in points:
            policy = policies.of(self._agents(point.attributes))
            if policy is not Policy.FULL:
                self.applied[policy] += 1
                self._attributes(point.attributes, policy)
                for exemplar in getattr(point, "exemplars", ()):
                    self._attributes(exemplar.filtered_attributes, policy)
            applied = max(applied, policy)
        if applied is Policy.OFF and not self._keeper.counts_tokens(metric.name):
            metric.ClearField(kind)
        if applied is not Policy.FULL or (not points and policies.unnamed is not Policy.FULL):
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
            self._attributes(of_resource.resource.attributes, policy)
            of_resource.schema_url = _schema(of_resource.schema_url)
            del of_resource.resource.entity_refs[:]

    def _attributes(self, attributes: Any, policy: Policy) -> None:
        kept = [each for each in attributes if each.key != POLICY_ATTRIBUTE and self._attribute(each, policy)]
        if len(kept) < len(attributes):
            remaining = [type(each).FromString(each.SerializeToString()) for each in kept]
            del attributes[:]
            attributes.extend(remaining)

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


def _mark(attributes: Any, policy: Policy) -> None:
    """Say which policy was applied."""
    attribute = attributes.add()
    attribute.key = POLICY_ATTRIBUTE
    attribute.value.string_value = policy.word


def _text(attribute: Any) -> str:
    return str(attribute.value.string_value)


def _schema(url: str) -> str:
    return url if url.startswith(_SCHEMAS) and len(url) <= _LONGEST_SCHEMA_URL else ""
