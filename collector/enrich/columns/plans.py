"""A recipe as the native module runs it: which places of each field the rows of one shape have, and in which order."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from collector.enrich.columns import _columns as native
from collector.enrich.conventions.families import Family, KindRule
from collector.enrich.conventions.kinds import OPERATION
from collector.enrich.conventions.recipes import PART_BUCKETS, Places, Recipe
from collector.enrich.conventions.values import EVENT, RESOURCE, SPAN_NAME, Source, source

# Facts of few different values, which are numbers while a batch is read, and those of many.
FEW = ("request_model", "response_model", "model", "agent_name", "agent_span_name", "tool_name", "feature",
       "finish_reason", "service_tier", "requested_tier", "speed", "region", "purpose", "own_key",
       "output_type")  # fmt: skip
MANY = ("response_id", "conversation_id", "user_id")
SIDES = ("input", "output", "tool_input", "tool_output")


@dataclass(frozen=True, slots=True)
class ContentPlan:
    """The keys of one side's content: `keys[which]` for what was found, else `otherwise`; `ranks` of attributes."""

    keys: tuple[str, ...]
    ranks: tuple[int, ...]
    otherwise: str
    otherwise_rank: int


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """What to read from rows of one shape. `fields` numbers the fields of `facts` by name; `sources` are their places.

    Names: the text fields; `provider.N` for each of its places; `usage.BUCKET`, `aggregate.BUCKET`, `details.NAME`;
    `tier.NAME`; `content.SIDE`.
    """

    recipe: Recipe
    kinds: native.Plan
    facts: native.Plan
    fields: Mapping[str, int]
    sources: Mapping[str, Sequence[Source]]
    content: Mapping[str, ContentPlan]

    def names(self, group: str) -> list[str]:
        """The members of `group` (`usage`, `aggregate`, `details`, `provider`) that the shape has."""
        return [name.removeprefix(group + ".") for name in self.fields if name.startswith(group + ".")]

    def inclusive(self, providers: Collection[str]) -> bool:
        """Whether no rule on these providers makes anything of the counts but totals that include their parts."""
        return all(
            rule.is_inclusive or (rule.providers and set(rule.providers).isdisjoint(providers))
            for rule in self.recipe.meaning
        )

    def origins(self, group: str) -> dict[str, str]:
        """The fields that rules of meaning ask after, by their buckets."""
        names = {bucket: f"{group}.{bucket}" for bucket in ("input", *PART_BUCKETS)}
        return {bucket: name for bucket, name in names.items() if name in self.fields}

    @property
    def kind_rules(self) -> list[KindRule]:
        """Every kind rule that may apply; the last is the one where no other does."""
        found: list[KindRule] = []
        for rule in self.recipe.kinds.rules:
            found += rule[2].values() if len(rule) == 3 else [rule[1]]
        return [*found, self.recipe.kinds.otherwise]


def prefixes(families: Iterable[Family]) -> list[str]:
    """The prefixes of attribute names that content may be spread over."""
    specs = {spec for family in families for specs in family.content.values() for spec in specs}
    return sorted(spec[:-1] for spec in specs if spec.endswith(".*") and not spec.startswith(EVENT))


def shape_plan(recipe: Recipe, names: Sequence[str], resource_keys: Sequence[str]) -> ShapePlan:
    """The plan of a recipe for rows that have `names`: known keys in the key table's order, and prefixes."""
    return _Compiler(recipe, names, resource_keys).plan()


class _Compiler:
    def __init__(self, recipe: Recipe, names: Sequence[str], resource_keys: Sequence[str]) -> None:
        self._recipe = recipe
        self._present = frozenset(names)
        self._ranks = {key: rank for rank, key in enumerate(name for name in names if not name.endswith("."))}
        self._resource = {key: number for number, key in enumerate(resource_keys)}
        self._facts = native.Plan()
        self._fields: dict[str, int] = {}
        self._sources: dict[str, Sequence[Source]] = {}

    def plan(self) -> ShapePlan:
        recipe = self._recipe
        for name in (*FEW, *MANY, "reported_cost", "input_cost", "output_cost", "upstream_cost"):
            if places := recipe.fields.get(name):
                self._add(name, places)
        if places := recipe.fields.get("cost_parts"):  # whether there is one: an object is read row by row
            self._add("cost_parts", [source(place.attribute) for place in places])
        for number, place in enumerate(recipe.fields.get("provider", ())):
            self._add(f"provider.{number}", (place,))
        for group, lists in (
            ("usage", recipe.usage),
            ("aggregate", recipe.aggregate),
            ("details", recipe.details),
            ("tier", recipe.tiers),
        ):
            self._add_lists(group, lists)
        content = {side: self._add_content(side) for side in SIDES}
        return ShapePlan(recipe, self._kinds(), self._facts, self._fields, self._sources, content)

    def _kinds(self) -> native.Plan:
        """One field for each key among the kind rules, then the operation that was sent."""
        plan = native.Plan()
        keys = [rule[0] for rule in self._recipe.kinds.rules if len(rule) == 3]
        for key in (*keys, OPERATION):
            plan.add_field()
            if key in self._ranks:
                plan.add_place(native.PLAIN, self._ranks[key])
        return plan

    def _add_lists(self, group: str, lists: Places) -> None:
        for name, places in lists:
            self._add(f"{group}.{name}", places, values=group == "details")

    def _add(self, name: str, places: Sequence[Source], *, values: bool = False) -> None:
        self._fields[name] = len(self._fields)
        self._sources[name] = places
        self._facts.add_field(values=values)
        for place in places:
            self._add_place(place)

    def _add_place(self, place: Source) -> None:
        if place.event:
            self._facts.add_place(native.EVENT, 0, place.in_content, (), place.event)
        elif place.spec == SPAN_NAME:
            self._facts.add_place(native.NAME)
        elif place.spec.startswith(RESOURCE):
            self._facts.add_place(native.RESOURCE_KEY, self._resource[place.spec.removeprefix(RESOURCE)])
        elif place.is_json:
            self._facts.add_place(native.JSON, self._ranks[place.attribute], place.in_content, place.path)
        else:
            self._facts.add_place(native.PLAIN, self._ranks[place.attribute], place.in_content)

    def _add_content(self, side: str) -> ContentPlan:
        """The specs of `content.content_key`, in its order."""
        specs = list(self._recipe.content.get(side, ()))
        if side.startswith("tool_"):
            specs += self._recipe.content.get(side.removeprefix("tool_"), ())
        self._fields[f"content.{side}"] = len(self._fields)
        self._facts.add_field()
        keys, ranks = [], []
        for spec in specs:
            if spec.startswith(EVENT):
                event = spec.removeprefix(EVENT).partition("#")[0]
                self._facts.add_place(native.EVENT, 0, False, (), event.removesuffix("*"))
                keys.append("")
                ranks.append(-1)
            elif spec.endswith(".*"):
                if spec[:-1] in self._present:
                    self._facts.add_place(native.PREFIX)
                    keys.append(spec[:-1])
                    ranks.append(-1)
            else:
                self._facts.add_place(native.PLAIN, self._ranks[spec])
                keys.append(spec)
                ranks.append(self._ranks[spec])
        empty = next((key for key, rank in zip(keys, ranks, strict=True) if rank >= 0), "")
        return ContentPlan(tuple(keys), tuple(ranks), empty, self._ranks.get(empty, -1))
