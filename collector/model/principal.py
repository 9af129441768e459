"""Who is asking, for which project, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """One permission of a token."""

    TRACES_WRITE = "traces:write"
    TRACES_READ = "traces:read"
    BUDGETS_CHECK = "budgets:check"
    EVALS_READ = "evals:read"
    EVALS_WRITE = "evals:write"
    QUERY_READ = "query:read"
    QUERY_WRITE = "query:write"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated (or anonymous) caller. `admin` implies every scope but `query:write`, a door for tests."""

    name: str
    project: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or (Scope.ADMIN in self.scopes and scope is not Scope.QUERY_WRITE)


def judge_of(project: str) -> Principal:
    """The daemon itself, which writes the spans of its judges."""
    return Principal(name="judge", project=project, scopes=frozenset({Scope.TRACES_WRITE}))


ANONYMOUS = Principal(name="anonymous", project="default", scopes=frozenset(Scope) - {Scope.QUERY_WRITE})
