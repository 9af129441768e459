"""What of an accepted request is spooled."""

import functools
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from collector.capture.native import NATIVE, native
from collector.capture.policies import AgentPolicies, Policies
from collector.capture.redaction import Redactor, compiled
from collector.capture.reference import MAX_SCHEMA_URL, SCHEMAS, withhold
from collector.config import CaptureConfig
from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.capture import Keeper, Kept, Policy
from collector.model.envelope import Signal
from collector.telemetry import Metrics
from collector.wire.otlp import REQUESTS, parse_checked

log = structlog.get_logger("spanmeter.capture")

# Bodies up to this size are rewritten on the event loop: natively, if not too many texts need a look of their own, and
# in Python.
_QUICK_BYTES: Final = 256 * 1024
_QUICK_BYTES_IN_PYTHON: Final = 16 * 1024
_QUICK_TEXTS: Final = 200


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a request: what may be stored, items by the policy that was applied, and texts by rule."""

    payload: bytes
    items: Counter[Policy]
    redacted: Counter[str]


class CaptureRules:
    """The settings of one load. Safe to share."""

    def __init__(self, config: CaptureConfig, keeper: Keeper, agent_keys: frozenset[str]) -> None:
        self._policies = Policies(config)
        self._keeper = keeper
        self._agent_keys = agent_keys
        self._withholder = native.Withholder(keeper, agent_keys, SCHEMAS, MAX_SCHEMA_URL) if NATIVE else None
        self._redactor = Redactor(compiled(config.redact, config.hash_key), self._is_count) if config.redact else None

    def passes(self, project: str) -> bool:
        """Whether everything of a project is stored as it came."""
        return self._redactor is None and self._policies.of_project(project) is Policy.FULL

    def apply(self, signal: Signal, project: str, payload: bytes) -> Applied:
        """Raises Rejected; whatever else it raises, nothing of the request may be stored."""
        return self.apply_natively(signal, project, payload) or self.apply_in_python(signal, project, payload)

    def apply_natively(self, signal: Signal, project: str, payload: bytes, most: int | None = None) -> Applied | None:
        """As `apply`; None when only Python can tell, or when more than `most` texts need a look of their own."""
        items, redacted = Counter[Policy](), Counter[str]()
        if self._withholder is None:
            return None
        if self._policies.of_project(project) is not Policy.FULL:
            if signal is Signal.METRICS:
                return None
            withheld = self._withholder.withhold(payload, signal is Signal.LOGS, self._of_service(project))
            if withheld is None:
                return None
            payload, items = withheld
        if self._redactor:
            left = self._redactor.redact_natively(signal, payload, most)
            if left is None:
                return None
            payload, redacted = left
        return Applied(payload, items, redacted)

    def apply_in_python(self, signal: Signal, project: str, payload: bytes) -> Applied:
        """As `apply`."""
        request = parse_checked(REQUESTS[signal], payload)
        # Nothing can be said of what is in fields that this version of OTLP does not have.
        request.DiscardUnknownFields()
        items = withhold(signal, request, self._of_service(project), self._keeper, self._agent_keys)
        redacted = self._redactor.redact(request) if self._redactor else Counter[str]()
        return Applied(request.SerializeToString(), items, redacted)

    def _of_service(self, project: str) -> Callable[[str], AgentPolicies]:
        return functools.partial(self._policies.of_service, project)

    def _is_count(self, key: str) -> bool:
        return self._keeper.kept(Policy.OFF, key) is not Kept.NOTHING


def _in_force(config: CaptureConfig, keeper: Callable[[], tuple[Keeper, frozenset[str]]]) -> CaptureRules | None:
    return CaptureRules(config, *keeper()) if config.active else None


class Capture:
    """The policies in force. May be used from several threads; `reload` puts others in their place.

    `keeper` makes what says what the policies keep, from settings; it takes some tenths of a second.
    """

    def __init__(
        self, config: CaptureConfig, keeper: Callable[[], tuple[Keeper, frozenset[str]]], metrics: Metrics
    ) -> None:
        self._keeper = keeper
        self._metrics = metrics
        self._in_force = _in_force(config, keeper)

    def reload(self, config: CaptureConfig) -> None:
        self._in_force = _in_force(config, self._keeper)

    def quick(self, project: str, size: int) -> bool:
        """Whether `apply_quickly` may take a request of `size` bytes."""
        most = _QUICK_BYTES if NATIVE else _QUICK_BYTES_IN_PYTHON
        return size <= most or self._in_force is None or self._in_force.passes(project)

    def apply_quickly(self, signal: Signal, project: str, payload: bytes) -> bytes | None:
        """`apply`, when that is certain not to hold the event loop for more than some milliseconds; else None."""
        return self._applied(signal, project, payload, self._quickly)

    def apply(self, signal: Signal, project: str, payload: bytes) -> bytes:
        """`payload`, without what may not be stored of it; `payload` itself where nothing is withheld.

        Raises Rejected or Unavailable: then none of it may be stored.
        """
        left = self._applied(signal, project, payload, CaptureRules.apply)
        assert left is not None
        return left

    @staticmethod
    def _quickly(rules: CaptureRules, signal: Signal, project: str, payload: bytes) -> Applied | None:
        if len(payload) <= _QUICK_BYTES_IN_PYTHON:
            return rules.apply(signal, project, payload)
        return rules.apply_natively(signal, project, payload, _QUICK_TEXTS) if len(payload) <= _QUICK_BYTES else None

    def _applied(
        self,
        signal: Signal,
        project: str,
        payload: bytes,
        apply: Callable[[CaptureRules, Signal, str, bytes], Applied | None],
    ) -> bytes | None:
        force = self._in_force
        if force is None or force.passes(project):
            return payload
        try:
            applied = apply(force, signal, project, payload)
        except SpanmeterError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may be stored
            # Not the error itself: it may quote what must not be written anywhere.
            log.error("Content could not be withheld from a request, which was refused.", error=type(error).__name__)
            raise Unavailable(
                Reason.CAPTURE,
                "The capture policy could not be applied to this request, and none of it was stored; the server's log "
                "has the kind of the failure.",
                30.0,
            ) from None
        if applied is None:
            return None
        for policy, items in applied.items.items():
            self._metrics.capture_items.labels(signal.value, policy.word).inc(items)
        for rule, texts in applied.redacted.items():
            self._metrics.capture_redactions.labels(rule).inc(texts)
        return applied.payload
