"""Settings of what may be stored of what is sent."""

from typing import Annotated, Final, Literal

import re2
from pydantic import BeforeValidator, Field, model_validator

from collector.config.settings import Mistake, Section, Written, refuse, setting, shown
from collector.model.capture import steps_of

# YAML reads a bare `off` as false.
PolicyName = Annotated[
    Literal["full", "metadata", "off"], BeforeValidator(lambda value: "off" if value is False else value)
]
Patterns = Annotated[
    tuple[str, ...],
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
    Written("text, or list of texts"),
]


_MIN_HASH_KEY: Final = 16


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

    @property
    def matches_all(self) -> bool:
        """Whether it has no conditions."""
        return not (self.project or self.service or self.agent)


class RedactionRule(Section):
    """What is replaced in texts, wherever they stand. One of `builtin`, `pattern`, `json_path`, or `keys` alone."""

    name: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{0,64}$")] = setting(
        "", "What stands for the text, and the label in /metrics; default: the built-in's name."
    )
    builtin: Literal["", "api_keys", "bearer_tokens", "email", "card_numbers"] = setting(
        "", "A pattern that is built in; `card_numbers` are those with a right check digit."
    )
    pattern: str = setting("", "A regular expression of RE2.", max_length=10_000)
    json_path: str = setting(
        "", "A place within JSON: `$.customer.email`, `items[*].name`, `$..password` at any depth.", max_length=1000
    )
    keys: Patterns = setting(
        (), "Only in attributes of these names (`a.b.*`: that begin so). Alone: their values as a whole."
    )
    action: Literal["drop", "hash"] = setting(
        "drop",
        "`hash` puts the same short code for the same text, made with capture.hash_key, so that it can be joined.",
    )

    @property
    def label(self) -> str:
        """What it is called."""
        return self.name or self.builtin

    @model_validator(mode="after")
    def _usable(self) -> "RedactionRule":
        kinds = [kind for kind in ("builtin", "pattern", "json_path") if getattr(self, kind)]
        if len(kinds) > 1:
            refuse(
                [(kinds[1], f"a rule has one of builtin, pattern and json_path; this one has {' and '.join(kinds)}")]
            )
        if not kinds and not self.keys:
            refuse([("", "the rule says nothing: give builtin, pattern, json_path or keys")])
        if not self.label:
            refuse([("name", "the rule needs a name, which stands for what it replaces")])
        if self.pattern:
            refuse(_mistakes_of(self.pattern))
        refuse(_mistakes_of_names("keys", self.keys))
        if self.json_path:
            try:
                steps_of(self.json_path)
            except ValueError as error:
                refuse([("json_path", str(error))])
        return self


def _mistakes_of_names(setting: str, names: tuple[str, ...]) -> list[Mistake]:
    return [
        (f"{setting}.{position}", f"{shown(name)}: `*` stands at the end only, as in a.b.*")
        for position, name in enumerate(names)
        if "*" in name[:-1]
    ]


def _mistakes_of(pattern: str) -> list[Mistake]:
    options = re2.Options()
    options.log_errors = False
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        why = error.args[0].decode(errors="replace") if isinstance(error.args[0], bytes) else error.args[0]
        return [("pattern", f"{shown(pattern)} is no regular expression of RE2: {why}")]
    if compiled.search(""):
        return [("pattern", f"{shown(pattern)} matches the empty text, which is everywhere")]
    return []


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

    redact: tuple[RedactionRule, ...] = setting(
        (), "What is replaced in texts, under every policy.", max_length=200, reloadable=True
    )
    hash_key: str = setting(
        "",
        "Secret for rules with action hash, 16 characters or more: `${env:NAME}` or `${file:PATH}`.",
        reloadable=True,
    )

    @model_validator(mode="after")
    def _consistent(self) -> "CaptureConfig":
        refuse(_mistakes_of_names("keep", self.keep))
        for position, policy in enumerate(self.policies[:-1]):
            if policy.matches_all:
                sentence = "it matches everything, so that what is behind it never applies: put it last, or set default"
                refuse([(f"policies.{position}", sentence)])
        first: dict[str, int] = {}
        for position, rule in enumerate(self.redact):
            if first.setdefault(rule.label, position) != position:
                sentence = f"{shown(rule.label)} is the name of redact.{first[rule.label]} already"
                refuse([(f"redact.{position}.name", sentence)])
            if rule.action == "hash" and len(self.hash_key) < _MIN_HASH_KEY:
                sentence = f"a rule with action hash needs a secret of {_MIN_HASH_KEY} characters or more"
                refuse([("hash_key", sentence)])
        return self

    @property
    def active(self) -> bool:
        """Whether anything is withheld."""
        return bool(self.redact) or self.default != "full" or any(rule.policy != "full" for rule in self.policies)
