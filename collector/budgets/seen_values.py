"""Which values calls have had, so that a caller who names another one is told."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from collector.budgets.rules import Rules
from collector.budgets.span_facts import model_of
from collector.config import ATTRIBUTE, DIMENSIONS
from collector.model.budgets import Dimensions
from collector.model.model_names import ModelNames

# Beyond so many values every value passes for one that was seen: nobody is told what may be wrong.
_MAX_VALUES: Final = 200_000

# Besides the one name of a model, all by which it may be matched.
MODEL_NAMES: Final = "model names"


class SeenValues:
    """Values by project and dimension. One thread adds, any may ask."""

    def __init__(self, max_values: int = _MAX_VALUES) -> None:
        self.max_values = max_values
        self._values: set[tuple[str, str, str]] = set()
        # By project and any of its names: what the model is called that answered; "" where several have.
        self._models: dict[tuple[str, str], str] = {}
        self.ready = False  # what the store has is known

    def clear(self) -> None:
        self.ready = False
        self._values = set()
        self._models = {}

    def model(self, project: str, sent: str) -> str:
        """What the model is called that answers calls of a project which ask for `sent`: "" when several do, or none.

        Only calls tell this of a deployment or a router's name.
        """
        return self._models.get((project, sent), "")

    def add(self, project: str, name: str, values: Iterable[str]) -> None:
        if len(self._values) < self.max_values:
            self._values.update((project, name, value) for value in values)

    def add_call(self, call: Dimensions, attribute_keys: Iterable[str]) -> None:
        for name, value in zip(DIMENSIONS, call, strict=False):
            if value:
                self.add(call.project, name, (str(value),))
        for key, value in zip(attribute_keys, call.attributes, strict=True):
            self.add(call.project, ATTRIBUTE + key, (value,))
        self._add_model(call.project, call.model, call.model_names)

    def _add_model(self, project: str, model: str, names: Iterable[str]) -> None:
        for name in names:
            if len(self._models) < self.max_values:
                known = self._models.setdefault((project, name), model)
                if known != model:
                    self._models[project, name] = ""
        self.add(project, MODEL_NAMES, names)

    def add_stored(self, project: str, name: str, value: Sequence[str], names: ModelNames) -> None:
        """A value of a stored span; of a model, its provider and the names that were sent."""
        if name != "model":
            self.add(project, name, value)
            return
        model, every = model_of(names, *value)
        self.add(project, name, (model,))
        self._add_model(project, model, every)

    def unseen(self, rules: Rules, run: Dimensions, stated: Mapping[str, str]) -> str:
        """In a sentence, the values of a run by which rules match and which no call of its project has had; else ""."""
        if not self.ready or len(self._values) >= self.max_values:
            return ""
        read = {*rules.fields.dimensions, *(ATTRIBUTE + key for key in rules.attribute_keys)}
        names = [name for name, value in stated.items() if value and name in read and not self._has(rules, run, name)]
        if not names:
            return ""
        listed = ", ".join(f"{name} {_short(stated[name])}" for name in names)
        return f"No call of project {run.project} was counted with {listed}; is it written as spans have it?"

    def _has(self, rules: Rules, run: Dimensions, name: str) -> bool:
        if name == "model" and not any("model" in rule.per for rule in rules):
            return any((run.project, MODEL_NAMES, one) in self._values for one in run.model_names)
        if name.startswith(ATTRIBUTE):
            value = run.attributes[rules.attribute_keys.index(name.removeprefix(ATTRIBUTE))]
        else:
            value = str(run[DIMENSIONS.index(name)])
        return (run.project, name, value) in self._values


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else value[:60] + "...")
