"""What of an accepted request is spooled."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import structlog

from collector.capture.policies import AgentPolicies, Policies
from collector.capture.reference import rewrite
from collector.config import CaptureConfig
from collector.errors import Reason, SpanmeterError, Unavailable
from collector.model.capture import Keeper, Policy
from collector.model.envelope import Signal

log = structlog.get_logger("spanmeter.capture")

# Bodies up to this size are rewritten on the event loop.
_QUICK_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class _InForce:
    """The settings of one load."""

    policies: Policies
    keeper: Keeper
    agent_keys: frozenset[str]

    def passes(self, project: str) -> bool:
        """Whether everything of a project is stored as it came."""
        return self.policies.of_project(project) is Policy.FULL

    def apply(self, signal: Signal, project: str, payload: bytes) -> bytes:
        def of_service(service: str) -> AgentPolicies:
            return self.policies.of_service(project, service)

        return rewrite(signal, payload, of_service, self.keeper, self.agent_keys)


def _in_force(config: CaptureConfig, keeper: Callable[[], tuple[Keeper, frozenset[str]]]) -> _InForce | None:
    return _InForce(Policies(config), *keeper()) if config.active else None


class Capture:
    """The policies in force. May be used from several threads; `reload` puts others in their place.

    `keeper` makes what says what the policies keep, from settings; it takes some tenths of a second.
    """

    def __init__(self, config: CaptureConfig, keeper: Callable[[], tuple[Keeper, frozenset[str]]]) -> None:
        self._keeper = keeper
        self._in_force = _in_force(config, keeper)

    def reload(self, config: CaptureConfig) -> None:
        self._in_force = _in_force(config, self._keeper)

    def quick(self, project: str, size: int) -> bool:
        """Whether a request of `size` bytes is looked at in some milliseconds."""
        return size <= _QUICK_BYTES or self._in_force is None or self._in_force.passes(project)

    def apply(self, signal: Signal, project: str, payload: bytes) -> bytes:
        """`payload`, without what may not be stored of it; `payload` itself where nothing is withheld.

        Raises Rejected or Unavailable: then none of it may be stored.
        """
        force = self._in_force
        if force is None or force.passes(project):
            return payload
        try:
            return force.apply(signal, project, payload)
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
