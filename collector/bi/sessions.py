"""Sessions: what SET and USE leave behind for the next queries of the same client."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from collector.bi.errors import QueryError
from collector.model.principal import Principal

_MAX_SESSIONS = 1000
_MAX_OF_ONE = 100
_MAX_NAME_LENGTH = 200
_DEFAULT_SECONDS = 60.0
_MAX_SECONDS = 3600.0


@dataclass(slots=True)
class Session:
    """Settings and database of a client; `database` is empty until USE."""

    settings: dict[str, str] = field(default_factory=dict)
    database: str = ""
    expires: float = 0.0


class Sessions:
    """At most a thousand, a hundred of one principal; those unused for longest go first."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._sessions: dict[tuple[str, str, str], Session] = {}

    def session(self, principal: Principal, session_id: str, timeout: str, check: str) -> Session:
        """The session of a request. Raises QueryError for one that has to exist and does not."""
        if not session_id:
            return Session()
        if len(session_id) > _MAX_NAME_LENGTH:
            raise QueryError(36, "BAD_ARGUMENTS", f"session_id has at most {_MAX_NAME_LENGTH} characters.")
        now = self._now()
        key = (principal.name, principal.project, session_id)
        found = self._sessions.pop(key, None)
        if found is None or found.expires <= now:
            if check in ("1", "true"):
                raise QueryError(372, "SESSION_NOT_FOUND", "Session not found.")
            found = Session()
            self._make_room(principal)
        found.expires = now + _seconds(timeout)
        self._sessions[key] = found
        while len(self._sessions) > _MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        return found

    def _make_room(self, principal: Principal) -> None:
        """Nobody's new sessions end those of others, while these are few."""
        own = [key for key in self._sessions if key[:2] == (principal.name, principal.project)]
        for key in own[: len(own) + 1 - _MAX_OF_ONE]:
            del self._sessions[key]


def _seconds(timeout: str) -> float:
    try:
        seconds = float(timeout) if timeout else _DEFAULT_SECONDS
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= _MAX_SECONDS:
        text = f"Session timeout is a number from 0 to {_MAX_SECONDS:g}, not {timeout[:40]!r}."
        raise QueryError(374, "INVALID_SESSION_TIMEOUT", text)
    return seconds
