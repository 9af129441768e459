"""Which policy applies: by project, service and agent, the first rule that matches."""

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from collector.config import CaptureConfig
from collector.model.capture import POLICIES, Policy


@dataclass(frozen=True, slots=True)
class _Rule:
    """`agent` is None for any agent, also one that is not named."""

    policy: Policy
    agent: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class AgentPolicies:
    """The policies within one service, which are left to the agent."""

    rules: tuple[_Rule, ...]
    unnamed: Policy

    @property
    def uniform(self) -> Policy | None:
        """The policy of every agent; None when it depends on the agent."""
        return self.unnamed if len(self.rules) == 1 else None

    def of(self, agents: Iterable[str]) -> Policy:
        """The strictest policy for what names these agents. What names none may be of any: the strictest of all."""
        named = [self._of_one(agent) for agent in agents if agent]
        return max(named, default=self.unnamed)

    def _of_one(self, agent: str) -> Policy:
        return next(rule.policy for rule in self.rules if rule.agent is None or rule.agent.fullmatch(agent))


class Policies:
    """The rules of the settings. Immutable."""

    def __init__(self, config: CaptureConfig) -> None:
        self._rules = config.policies
        self._default = POLICIES[config.default]
        self.of_service = functools.lru_cache(1024)(self._of_service)
        self.of_project = functools.lru_cache(1024)(self._of_project)

    def _of_project(self, project: str) -> Policy | None:
        """The policy of all that a project sends; None when it depends on service or agent."""
        for rule in self._rules:
            if _matches(rule.project, project):
                if rule.service or rule.agent:
                    return None if self._may_differ(project) else self._default
                return POLICIES[rule.policy]
        return self._default

    def _may_differ(self, project: str) -> bool:
        return any(
            POLICIES[rule.policy] is not self._default for rule in self._rules if _matches(rule.project, project)
        )

    def _of_service(self, project: str, service: str) -> AgentPolicies:
        found: list[_Rule] = []
        for rule in self._rules:
            if _matches(rule.project, project) and _matches(rule.service, service):
                found.append(_Rule(POLICIES[rule.policy], _pattern(rule.agent) if rule.agent else None))
                if not rule.agent:
                    break
        else:
            found.append(_Rule(self._default, None))
        return AgentPolicies(tuple(found), max(rule.policy for rule in found))


def _matches(patterns: Sequence[str], value: str) -> bool:
    return not patterns or bool(_pattern(tuple(patterns)).fullmatch(value))


@functools.cache  # the patterns are those of the settings
def _pattern(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """What matches one of some values, in which `*` stands for anything."""
    return re.compile("|".join(re.escape(one).replace(r"\*", ".*") for one in patterns), re.DOTALL)
