"""Rules of budgets: which calls one counts, in whose name, against which limit."""

import fnmatch
import hashlib
import json
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from collector.budgets.periods import Calendar, PeriodKind, Rolling, Schedule
from collector.budgets.span_facts import FactFields, model_of
from collector.config import ATTRIBUTE, DIMENSIONS, WEEKDAYS, BudgetConfig, Config
from collector.model.budgets import Dimensions, Scope
from collector.model.model_names import AS_SENT, ModelNames
from collector.model.money import PICODOLLARS_PER_USD
from collector.model.purposes import PRODUCT

# Only ASCII letters have a case here: then Python and the store agree on every name there may be.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)

PURPOSE = "purpose"

# What contributors are divided by.
DIVIDED_BY = ("feature", "model")


class Unit(StrEnum):
    """What a limit is counted in."""

    USD = "usd"
    TOKENS = "tokens"


class Unpriced(StrEnum):
    """What a call without a known price does to a budget."""

    IGNORE = "ignore"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True)
class Rule:
    """One budget. `limit` and `limits` are picodollars or tokens, by `unit`.

    `match` holds, by name of a dimension (or `attribute.KEY`), the values of which a call has one: exact, but for
    `model`, whose values are patterns with * and ?, in any case: one of them fits one of the names of the call's model.
    A pattern without these stands for the model that `names` knows by it. `attribute_keys` is the order of a call's
    attributes.
    """

    name: str
    unit: Unit
    limit: int
    schedule: Schedule
    period_name: str
    timezone_name: str = "UTC"
    limits: Mapping[Scope, int] = field(default_factory=dict)
    match: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    per: tuple[str, ...] = ()
    warn_at: tuple[Decimal, ...] = ()
    hard: bool = False
    unpriced: Unpriced = Unpriced.WARN
    webhooks: tuple[str, ...] = ()
    attribute_keys: tuple[str, ...] = ()
    names: ModelNames = field(default=AS_SENT, repr=False, compare=False)
    _scope: Callable[[Dimensions], Scope | None] = field(init=False, repr=False, compare=False)
    family: str = field(init=False, repr=False, compare=False)
    fingerprint: str = field(init=False, repr=False, compare=False)
    _counts_model: Callable[[str], object] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_scope", _scope_reader(self._tests(), self.per, self.attribute_keys))
        object.__setattr__(self, "family", self._of_family())
        object.__setattr__(self, "fingerprint", self._digest())

    def __hash__(self) -> int:
        return hash(self.name)

    def scope_of(self, call: Dimensions) -> Scope | None:
        """Whose budget of this rule a call counts in; None when the rule does not count it."""
        return self._scope(call)

    @property
    def counted(self) -> Mapping[str, tuple[str, ...]]:
        """`match`, with what holds of purposes when nothing names them: the product's calls only."""
        return self.match if PURPOSE in (*self.match, *self.per) else {**self.match, PURPOSE: (PRODUCT,)}

    def limit_of(self, scope: Scope) -> int:
        return self.limits.get(scope, self.limit)

    def visible_to(self, project: str) -> bool:
        """Whether the rule may count calls of a project."""
        projects = self.match.get("project")
        return projects is None or project in projects

    @property
    def shared(self) -> bool:
        """Whether calls of several projects may count in one scope."""
        projects = self.match.get("project")
        return "project" not in self.per and (projects is None or len(projects) > 1)

    def project_of(self, scope: Scope) -> str:
        """The only project whose calls count in a scope; "" when it may be shared."""
        if "project" in self.per:
            return scope[self.per.index("project")]
        projects = self.match.get("project", ())
        return projects[0] if len(projects) == 1 else ""

    def sql_parameters(self, where: Mapping[str, str] = MappingProxyType({})) -> dict[str, Any]:
        """What a query matches by: lists of exact values (empty: any), and pairs of attributes, as parallel lists.

        A key that comes with several values is matched by any of them. `where` narrows: a call has its values besides
        what the rule matches. Models are not among it: only `counts_model` knows their names.
        """
        match: Mapping[str, tuple[str, ...]] = {
            **self.counted,
            **{name: (value,) for name, value in where.items() if name != "model"},
        }
        exact = {f"match_{name}": list(match.get(name, ())) for name in DIMENSIONS if name != "model"}
        pairs = [
            (name.removeprefix(ATTRIBUTE), value)
            for name, values in sorted(match.items())
            if name.startswith(ATTRIBUTE)
            for value in values
        ]
        return {
            **exact,
            "attribute_keys": [key for key, _ in pairs],
            "attribute_values": [value for _, value in pairs],
            "per": list(self.per),
        }

    def admits(self, where: Mapping[str, str]) -> bool:
        """Whether a call with these values may be one that the rule matches; of models `counts_model` tells."""
        match = self.counted
        fixed = ((name, value) for name, value in where.items() if name in match and name != "model")
        return all(value in match[name] for name, value in fixed)

    def counts_model(self, names: tuple[str, ...]) -> bool:
        """Whether the rule counts calls of a model with these names."""
        return self._counts_model is None or any(map(self._counts_model, names))

    def model(self, provider: str, *sent: str) -> tuple[str, tuple[str, ...]]:
        """The name of a model, and all by which it is matched."""
        return model_of(self.names, provider, *sent)

    def resolved(self, where: Mapping[str, str]) -> dict[str, str]:
        """Values as calls have them: a model by its one name."""
        return {name: self.model("", value)[0] if name == "model" else value for name, value in where.items()}

    @property
    def reads_model(self) -> bool:
        return "model" in self.match or "model" in self.per

    def _tests(self) -> list[tuple[str, Callable[[Any], object]]]:
        """A test for each dimension that is matched; that of `model` takes all names of one."""
        tests: list[tuple[str, Callable[[Any], object]]] = [
            (name, frozenset(values).__contains__) for name, values in self.counted.items() if name != "model"
        ]
        if "model" in self.match:
            patterns = list(self._model_patterns())
            object.__setattr__(self, "_counts_model", _model_test(patterns))
            tests.append(("model", self.counts_model))
        return tests

    def _model_patterns(self) -> Iterator[str]:
        """As they are written, and the names of the models that those without wildcards stand for."""
        providers = ("", *self.match.get("provider", ()))
        for pattern in self.match["model"]:
            yield pattern
            if pattern and not {"*", "?"}.intersection(pattern):
                yield from filter(None, (self.names.model_name(provider, pattern) for provider in providers))

    def _of_family(self) -> str:
        """Names which calls are counted, and how they are divided."""
        match = {
            name: sorted({value.translate(_LOWER) for value in values} if name == "model" else set(values))
            for name, values in self.counted.items()
        }
        return json.dumps([match, list(self.per)], sort_keys=True)

    def _digest(self) -> str:
        """Names what is counted, in any process: rules that differ in limits or reactions only have the same."""
        names = self.names.identity if self.reads_model else ""
        text = f"{json.dumps([self.unit.value, self.schedule.identity()])}{self.family}{names}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]


class Rules:
    """Every rule, in the order of the configuration.

    `attribute_keys`: of a call's attributes, the ones that matter. `fields`: all that is needed of a span. `families`:
    the rules, by their places, that count the same calls in the same scopes, if in other periods. `calendar` and
    `rolling` have each rule by name, with its schedule.
    """

    def __init__(self, rules: Iterable[Rule], names: ModelNames = AS_SENT) -> None:
        """`names` is who knows what models are called, for every rule.

        Raises ValueError for rules that read a call's attributes in another order than together they have.
        """
        self.rules = tuple(rules)
        self.names = names
        self.attribute_keys = attribute_keys(name for rule in self.rules for name in (*rule.match, *rule.per))
        read = {name for rule in self.rules for name in (*rule.counted, *rule.per)}
        self.fields = FactFields(
            frozenset(read.intersection(DIMENSIONS)) | {"project"},
            self.attribute_keys,
            names=names if "model" in read else AS_SENT,
        )
        self._by_name = {rule.name: rule for rule in self.rules}
        families: dict[str, list[int]] = {}
        for place, rule in enumerate(self.rules):
            families.setdefault(rule.family, []).append(place)
        self.families = tuple(map(tuple, families.values()))
        self.calendar: dict[str, tuple[Rule, Calendar]] = {}
        self.rolling: dict[str, tuple[Rule, Rolling]] = {}
        for rule in self.rules:
            self._sort(rule)
        for rule in self.rules:
            if attribute_keys((*rule.match, *rule.per)) and rule.attribute_keys != self.attribute_keys:
                raise ValueError(f"the rule {rule.name} reads {rule.attribute_keys}, not {self.attribute_keys}")

    @classmethod
    def from_config(cls, config: Config, names: ModelNames = AS_SENT) -> "Rules":
        keys = attribute_keys(name for budget in config.budgets for name in (*budget.match, *budget.per))
        return cls((_rule(budget, keys, names) for budget in config.budgets), names)

    def with_breakdowns(self) -> "Rules":
        """With a rule beside each that sends webhooks: what it counts, divided by feature and model as well."""
        taken = {rule.name for rule in self.rules}
        divided = (breakdown_of(rule) for rule in self.rules if rule.webhooks)
        return Rules([*self.rules, *(rule for rule in divided if rule.name not in taken)], self.names)

    def _sort(self, rule: Rule) -> None:
        rule.schedule.dispatch(
            lambda calendar: self.calendar.__setitem__(rule.name, (rule, calendar)),
            lambda rolling: self.rolling.__setitem__(rule.name, (rule, rolling)),
        )

    def __iter__(self) -> Iterator[Rule]:
        return iter(self.rules)

    def __len__(self) -> int:
        return len(self.rules)

    def by_name(self, name: str) -> Rule:
        """Raises KeyError."""
        return self._by_name[name]

    def find(self, name: str) -> Rule | None:
        """The rule of that name, if there is one."""
        return self._by_name.get(name)

    def families_of(self, call: Dimensions) -> Iterator[tuple[int, Scope]]:
        """The families that count a call, by their place, and in whose budget."""
        for number, (place, *_) in enumerate(self.families):
            scope = self.rules[place].scope_of(call)
            if scope is not None:
                yield number, scope

    def matching(self, call: Dimensions) -> Iterator[tuple[Rule, Scope]]:
        """The rules that count a call, and in whose budget each does."""
        for rule in self.rules:
            scope = rule.scope_of(call)
            if scope is not None:
                yield rule, scope


def breakdown_of(rule: Rule) -> Rule:
    """The rule that divides what another counts by feature and model; it never sends a webhook."""
    name = f"{rule.name} (by feature and model)"
    return replace(rule, name=name, per=(*rule.per, *DIVIDED_BY), limits={}, hard=False, webhooks=())


def attribute_keys(names: Iterable[str]) -> tuple[str, ...]:
    """The keys of the attributes among names to match by, sorted."""
    return tuple(sorted({name.removeprefix(ATTRIBUTE) for name in names if name.startswith(ATTRIBUTE)}))


def _rule(budget: BudgetConfig, keys: tuple[str, ...], names: ModelNames) -> Rule:
    unit = Unit.TOKENS if budget.limit_usd is None else Unit.USD
    scale = PICODOLLARS_PER_USD if unit is Unit.USD else 1
    return Rule(
        name=budget.name,
        unit=unit,
        limit=_whole(budget.limit, scale),
        limits=_limits(budget, scale, names),
        schedule=_schedule(budget),
        period_name=budget.period_name,
        timezone_name=budget.timezone,
        match=budget.match,
        per=budget.per,
        warn_at=tuple(sorted(budget.warn_at)),
        hard=budget.hard,
        unpriced=Unpriced(budget.unpriced),
        webhooks=budget.webhooks,
        attribute_keys=keys,
        names=names,
    )


def _limits(budget: BudgetConfig, scale: int, names: ModelNames) -> dict[Scope, int]:
    """By values as calls have them. Of several that come to one model, the lowest holds."""
    limits: dict[Scope, int] = {}
    for values, amount in budget.value_limits.items():
        named = zip(budget.per, values, strict=True)
        provider = dict(zip(budget.per, values, strict=True)).get("provider", "")
        scope = tuple(model_of(names, provider, value)[0] if name == "model" else value for name, value in named)
        limits[scope] = min(limits.get(scope, _whole(amount, scale)), _whole(amount, scale))
    return limits


def _whole(amount: Decimal, scale: int) -> int:
    """The settings have no more decimals than a picodollar, so nothing is lost."""
    numerator, denominator = amount.as_integer_ratio()
    return numerator * scale // denominator


def _schedule(budget: BudgetConfig) -> Schedule:
    if budget.window is not None:
        return Rolling(int(budget.window) * 1_000_000_000)
    kind = PeriodKind(str(budget.period))
    return Calendar(kind, ZoneInfo(budget.timezone), WEEKDAYS.index(budget.week_start), budget.month_day)


def _scope_reader(
    match: Iterable[tuple[str, Callable[[Any], object]]], per: tuple[str, ...], keys: tuple[str, ...]
) -> Callable[[Dimensions], Scope | None]:
    """The test and the scope of a rule as one function: it is called for every call and rule."""
    tests: list[tuple[Callable[[Dimensions], Any], Callable[[Any], object]]] = [
        (_model_names if name == "model" else _reader(name, keys), test) for name, test in match
    ]
    readers = [_reader(name, keys) for name in per]

    def scope_of(call: Dimensions) -> Scope | None:
        for read, test in tests:
            if not test(read(call)):
                return None
        return tuple([read(call) for read in readers])

    return scope_of


def _reader(name: str, keys: tuple[str, ...]) -> Callable[[Dimensions], str]:
    if not name.startswith(ATTRIBUTE):
        position = DIMENSIONS.index(name)
        return lambda call: call[position]  # type: ignore[return-value] # the last alone is no text
    place = keys.index(name.removeprefix(ATTRIBUTE))
    # A question about a run that has not begun may come without any attributes.
    return lambda call: call.attributes[place] if place < len(call.attributes) else ""


def _model_names(call: Dimensions) -> tuple[str, ...]:
    return call.model_names or (call.model,)


def _model_test(patterns: Iterable[str]) -> Callable[[str], object]:
    # `[` has no meaning in these patterns, as it has in names such as claude-sonnet-4-5[1m].
    globs = (fnmatch.translate(pattern.translate(_LOWER).replace("[", "[[]")) for pattern in patterns)
    matches = re.compile("|".join(globs)).match
    return lambda model: matches(model.translate(_LOWER))
