"""Settings of what may be stored of what is sent."""

from typing import Annotated, Literal

from pydantic import BeforeValidator

from collector.config.settings import Section, Written, setting

# YAML reads a bare `off` as false.
PolicyName = Annotated[
    Literal["full", "metadata", "off"], BeforeValidator(lambda value: "off" if value is False else value)
]
Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Written("text, or list of texts"),
]


class CaptureRule(Section):
    """One rule on what is captured. The first of the list that matches counts."""

    policy: PolicyName = setting(
        ...,
        "`full`; `metadata`: counts, cost, times, names and ids, and no content; `off`: only what pricing and budgets "
        "count by.",
    )
    project: Patterns = setting((), "Projects it is for; `*` stands for anything. Any when not set.")
    service: Patterns = setting((), "Values of service.name it is for. Any when not set.")
    agent: Patterns = setting(
        (), "Agents it is for. What names no agent gets the strictest policy among those of its service's agents."
    )


class CaptureConfig(Section):
    default: PolicyName = setting("full", "The policy where no rule matches.", reloadable=True)
    policies: tuple[CaptureRule, ...] = setting(
        (), "What is captured of which project, service and agent.", reloadable=True
    )
    keep: tuple[str, ...] = setting(
        (),
        "Further attributes that `metadata` and `off` keep when short; `a.b.*` is all that begin so, `@name` the names "
        "of spans, of which `off` keeps what tells their kind. Attributes that budgets name are kept anyway.",
        reloadable=True,
    )

    @property
    def active(self) -> bool:
        """Whether anything is withheld."""
        return self.default != "full" or any(rule.policy != "full" for rule in self.policies)
