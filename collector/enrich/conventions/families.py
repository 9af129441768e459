"""The convention files: what a family is, and reading them from `schema/conventions/*.yaml`.

Adding a library is adding a file. A file holds only what differs: the families with `always: true` (our own
overrides and the OpenTelemetry conventions) are consulted for every span, the others when they are recognised.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from genai_prices.data_units import unit_data
from pydantic import AfterValidator, BaseModel, ConfigDict, RootModel, ValidationError, model_validator

from collector.enrich.conventions.events import EventRules
from collector.enrich.conventions.log_content import LogContentRules
from collector.errors import ConfigError
from collector.model.facts import Kind

# The facts that are plain text, in the words of the files. `model` is for a key that holds the model that answered,
# or the model asked for when the call failed. `service_tier` is the answer's, `requested_tier` the request's, and
# `region` any host, geography or location that served the call. `reported_cost` is all of the cost; where it is not
# sent, `input_cost` and `output_cost` are, or the members of a JSON object, `cost_parts`. `upstream_cost` is what the
# provider charges behind a gateway, `own_key` whether it charges the caller's own key rather than the gateway.
TEXT_FIELDS = (
    "provider", "request_model", "response_model", "model", "response_id", "agent_name", "agent_span_name",
    "tool_name", "feature", "conversation_id", "user_id", "finish_reason", "service_tier", "requested_tier", "speed",
    "region", "purpose", "reported_cost", "input_cost", "output_cost", "cost_parts", "upstream_cost", "own_key",
    "output_type",
)  # fmt: skip
# Counts without a column of their own have the names of the price library's units.
DETAILS = tuple(unit_data)
CONTENT_FIELDS = ("input", "output", "tool_input", "tool_output")
BUCKETS = (
    "input", "output", "total", "cache_read", "cache_write", "cache_write_5m", "cache_write_1h", "reasoning",
    "input_audio", "cache_audio_read", "output_audio", "tool_use", "uncached_input",
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


def _pattern(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, AfterValidator(_pattern)]


class NameRule(Part):
    """A pattern of span names (a regular expression, matched from the start) that states the kind."""

    pattern: Pattern
    kind_rule: KindRule


class Meaning(Part):
    """What the counts of one library's version on one provider's API include.

    The first rule of the family whose conditions all hold decides; without conditions a rule always holds:
    - `scopes`: the scope name starts with one of these;
    - `before`: the scope's version is known and lower;
    - `absent`: none of these attributes is on the span;
    - `input_keys`: the input came from one of these keys; `part_keys`: a count of cached or reasoning tokens did;
    - `providers`: canonical names;
    - `apis`, `models`: regular expressions that match the whole of the provider, and of the model, as sent and in
      lower case. The model is the one asked for, else the one that answered.

    `includes_modalities`: input and output include the tokens that are counted by modality (text, audio, images, video)
    beside them. `input_includes_tool_use`: the input includes the tokens of results of the provider's own tools.
    `output_is_complete`: the output includes all reasoning even when that is not counted apart, so that tokens which
    only the total includes are input. `source` says where that is written.
    """

    scopes: tuple[str, ...] = ()
    before: str = ""
    absent: tuple[str, ...] = ()
    input_keys: tuple[str, ...] = ()
    part_keys: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    apis: Pattern = ""
    models: Pattern = ""
    input_includes_cache: bool = True
    output_includes_reasoning: bool = True
    includes_modalities: bool = True
    input_includes_tool_use: bool = True
    output_is_complete: bool = False
    source: str

    @property
    def is_inclusive(self) -> bool:
        """Whether input and output include every part of them."""
        return (
            self.input_includes_cache
            and self.output_includes_reasoning
            and self.includes_modalities
            and self.input_includes_tool_use
        )


class UsageObject(Part):
    """Where the usage object of a provider's API has its counts: paths in JSON, by bucket and by unit.

    `usage` and `details` are what has a price of its own. `counts` are input, output, total and the parts that every
    library passes on under a name of its own; `meaning` is what they include.
    """

    counts: dict[str, Keys] = {}
    usage: dict[str, Keys] = {}
    details: dict[str, Keys] = {}
    meaning: tuple[Meaning, ...] = ()

    def at(self, attributes: Keys) -> "UsageObject":
        """The same with the full keys of what is in one of `attributes` (`key#`, `key#path.in.json`)."""

        def keys(paths: dict[str, Keys]) -> dict[str, Keys]:
            return {name: _within(attributes, listed) for name, listed in paths.items()}

        def rule(meaning: Meaning) -> Meaning:
            places = {"input_keys": meaning.input_keys, "part_keys": meaning.part_keys}
            return meaning.model_copy(update=keys(places))

        return UsageObject(
            counts=keys(self.counts),
            usage=keys(self.usage),
            details=keys(self.details),
            meaning=tuple(map(rule, self.meaning)),
        )


def _within(attributes: Keys, paths: Keys) -> Keys:
    return tuple(f"{key}{'' if key.endswith('#') else '.'}{path}" for key in attributes for path in paths)


def _appended(keys: dict[str, Keys], more: dict[str, Keys]) -> dict[str, Keys]:
    return {name: tuple(dict.fromkeys((*keys.get(name, ()), *more.get(name, ())))) for name in {**keys, **more}}


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
    # Keys whose presence says that the answer came from a service tier, by tier.
    tiers: dict[str, Keys] = {}
    # Attributes that hold the usage object of a provider, by its name: what has a price of its own is read from it.
    usage_objects: dict[str, Keys] = {}
    # Of these all counts are read, where no library counts the same in words of its own.
    whole_objects: dict[str, Keys] = {}
    # The counts of the whole objects; not in a file.
    object_counts: dict[str, Keys] = {}
    meaning: tuple[Meaning, ...] = ()
    # What its log events tell of sessions.
    events: EventRules | None = None
    # The attribute of a call that names its model, where a span above the call has it and the call has not.
    model_from_above: str = ""
    # Its log records with the content of spans.
    log_content: LogContentRules | None = None

    @property
    def lists(self) -> tuple[dict[str, Keys], ...]:
        """Every list of keys that values are read from."""
        return self.fields, self.usage, self.object_counts, self.aggregate, self.details, self.tiers

    def with_objects(self, objects: Mapping[str, UsageObject]) -> "Family":
        """The family with the keys of its usage objects after those it lists itself. Raises ConfigError."""
        usage, details, counts, meaning = self.usage, self.details, self.object_counts, self.meaning
        for name, attributes in self.usage_objects.items():
            members = self._object(objects, "usage_objects", name).at(attributes)
            usage, details = _appended(usage, members.usage), _appended(details, members.details)
        for name, attributes in self.whole_objects.items():
            members = self._object(objects, "whole_objects", name).at(attributes)
            usage, details = _appended(usage, members.usage), _appended(details, members.details)
            counts, meaning = _appended(counts, members.counts), (*meaning, *members.meaning)
        changed = {"usage": usage, "details": details, "object_counts": counts, "meaning": meaning}
        return self.model_copy(update=changed)

    def _object(self, objects: Mapping[str, UsageObject], place: str, name: str) -> UsageObject:
        if name not in objects:
            known = ", ".join(objects)
            raise ConfigError(f"{self.family}.yaml: {place}.{name} is no usage object; known are {known}.")
        return objects[name]

    @model_validator(mode="after")
    def _known_names(self) -> "Family":
        for place, given, known in (
            ("fields", self.fields, TEXT_FIELDS),
            ("content", self.content, CONTENT_FIELDS),
            ("usage", self.usage, BUCKETS),
            ("aggregate", self.aggregate, BUCKETS),
            ("details", self.details, DETAILS),
        ):
            for name in given:
                if name not in known:
                    raise ValueError(f"{place}.{name} is no fact; known here: {', '.join(known)}")
        if self.object_counts:
            raise ValueError("object_counts follow from whole_objects: leave them out")
        if not self.always and not self.recognise.scopes and not self.recognise.keys:
            raise ValueError("nothing recognises the family: give `recognise` scopes or keys, or `always: true`")
        return self


class Providers(Part):
    """Canonical provider names with the values instrumentations send, and the frameworks that call themselves one.

    `complete_output`: those whose output includes all reasoning, as `Meaning.output_is_complete` says of some calls.
    """

    canonical: dict[str, tuple[str, ...]]
    complete_output: tuple[str, ...] = ()
    frameworks: tuple[str, ...]


def load_families(folder: Path) -> tuple[Family, ...]:
    """Every `*.yaml` in `folder`, most believed first. Raises ConfigError, one sentence per mistake."""
    families: dict[int, Family] = {}
    for path in sorted(folder.glob("*.yaml")):
        family: Family = load_model(Family, path)
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


class UsageObjects(RootModel[dict[str, UsageObject]]):
    """The usage objects of providers' APIs, by name."""


def load_usage_objects(path: Path) -> dict[str, UsageObject]:
    """The usage objects. Raises ConfigError."""
    objects: UsageObjects = load_model(UsageObjects, path)
    return objects.root


def load_providers(path: Path) -> Providers:
    """The provider names. Raises ConfigError."""
    providers: Providers = load_model(Providers, path)
    return providers


def load_model(model: Any, path: Path) -> Any:
    """The YAML in `path` as a `model`. Raises ConfigError, one sentence per mistake."""
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
