"""The convention files: what a family is, and reading them from `schema/conventions/*.yaml`.

Adding a library is adding a file. A file holds only what differs: the families with `always: true` (our own
overrides and the OpenTelemetry conventions) are consulted for every span, the others when they are recognised.
"""

import re
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, model_validator

from collector.errors import ConfigError
from collector.model.facts import Kind

# The facts that are plain text, in the words of the files. `model` is for a key that holds the model that answered,
# or the model asked for when the call failed.
TEXT_FIELDS = (
    "provider", "request_model", "response_model", "model", "response_id", "agent_name", "agent_span_name",
    "tool_name", "feature", "conversation_id", "user_id", "finish_reason", "service_tier", "reported_cost",
)  # fmt: skip
CONTENT_FIELDS = ("input", "output", "tool_input", "tool_output")
BUCKETS = (
    "input", "output", "total", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning",
    "input_audio", "cache_audio_read", "output_audio",
)  # fmt: skip


def _keys(sources: tuple[str, ...]) -> tuple[str, ...]:
    for spec in sources:
        if not spec or spec.startswith("#") or spec != spec.strip():
            raise ValueError(f"{spec!r} names no attribute; write `key`, `key#path.in.json`, `@name` or `resource:key`")
    if len(set(sources)) < len(sources):
        raise ValueError("the same key is listed twice")
    return sources


Keys = Annotated[tuple[str, ...], AfterValidator(_keys)]


class Part(BaseModel):
    """A piece of a convention file. Frozen; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Recognise(Part):
    """A span is of the family when its scope name starts with one of `scopes` or it has an attribute of `keys`."""

    scopes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()


class KindRule(Part):
    """What a span is. An empty operation keeps the one sent; `rollup` says its usage sums calls of other spans."""

    kind: Kind
    operation: str = ""
    rollup: bool = False


class KindKey(Part):
    """An attribute that states the kind, its values in lower case. `json_encoded`: the values sent are JSON strings."""

    key: str
    json_encoded: bool = False
    values: dict[str, KindRule]

    @model_validator(mode="after")
    def _lower_case(self) -> "KindKey":
        for value in self.values:
            if value != value.lower():
                raise ValueError(f"the values of {self.key} are compared in lower case: write {value.lower()!r}")
        return self


class NameRule(Part):
    """A pattern of span names (a regular expression, matched from the start) that states the kind."""

    pattern: str
    kind_rule: KindRule

    @model_validator(mode="after")
    def _compiles(self) -> "NameRule":
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"{self.pattern!r} is not a regular expression: {error}") from None
        return self


class Meaning(Part):
    """What the counts include. The first rule of the family whose conditions all hold decides.

    `input_keys`: the input count came from one of these; `providers`: canonical names; `absent`: none of these
    attributes is on the span. Without conditions a rule always holds.
    """

    input_keys: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    input_includes_cache: bool = True
    output_includes_reasoning: bool = True


class Family(Part):
    """One convention. Of two families that know the same fact, the one with the lower `order` is believed."""

    family: str
    order: int
    about: str
    checked: str
    always: bool = False
    recognise: Recognise = Recognise()
    kinds: tuple[KindKey, ...] = ()
    names: tuple[NameRule, ...] = ()
    fields: dict[str, Keys] = {}
    content: dict[str, Keys] = {}
    usage: dict[str, Keys] = {}
    aggregate: dict[str, Keys] = {}
    details: dict[str, Keys] = {}
    meaning: tuple[Meaning, ...] = ()

    @model_validator(mode="after")
    def _known_names(self) -> "Family":
        for place, given, known in (
            ("fields", self.fields, TEXT_FIELDS),
            ("content", self.content, CONTENT_FIELDS),
            ("usage", self.usage, BUCKETS),
            ("aggregate", self.aggregate, BUCKETS),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(f"{place}.{name} is no fact; known here: {', '.join(known)}")
        if not self.always and not self.recognise.scopes and not self.recognise.keys:
            raise ValueError("nothing recognises the family: give `recognise` scopes or keys, or `always: true`")
        return self


class Providers(Part):
    """Canonical provider names with the values instrumentations send, and the frameworks that call themselves one."""

    canonical: dict[str, tuple[str, ...]]
    frameworks: tuple[str, ...]


def load_families(folder: Path) -> tuple[Family, ...]:
    """Every `*.yaml` in `folder`, most believed first. Raises ConfigError, one sentence per mistake."""
    families: dict[int, Family] = {}
    for path in sorted(folder.glob("*.yaml")):
        family: Family = _model(Family, path)
        if family.family != path.stem:
            raise ConfigError(
                f"{path.name} describes the family {family.family!r}; name the file {family.family}.yaml."
            )
        if family.order in families:
            raise ConfigError(
                f"{path.name} and {families[family.order].family}.yaml both have order {family.order}; "
                "precedence needs two numbers."
            )
        families[family.order] = family
    if not families:
        raise ConfigError(f"There is no convention file in {folder}.")
    return tuple(family for _, family in sorted(families.items()))


def load_providers(path: Path) -> Providers:
    """The provider names. Raises ConfigError."""
    providers: Providers = _model(Providers, path)
    return providers


def _model(model: Any, path: Path) -> Any:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read {path}: {error}.") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path.name} is not YAML: {error}") from None
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        lines = [f"  {_sentence(problem)}" for problem in error.errors(include_url=False)]
        raise ConfigError(f"{path.name} cannot be used:\n" + "\n".join(lines)) from None


def _sentence(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    message = "unknown key" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
