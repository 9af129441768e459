"""What a judge is asked, and how it may answer: pure data."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from collector.model.evaluations import digest_of

# Raised when the prompt, the parsing or the counting of votes changes what a verdict means.
ENGINE_VERSION = 1


class Scale(NamedTuple):
    """The numbers a judge may give, both ends included."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Rubric:
    """What makes a good answer. `choices` gives each label its score; with a `scale` the judge gives a number instead.

    A score of `pass_at` or more passes.
    """

    text: str
    choices: Mapping[str, float] = field(default_factory=lambda: {"pass": 1.0, "fail": 0.0})
    pass_at: float = 1.0
    scale: Scale | None = None

    @property
    def bounds(self) -> Scale:
        """The least and the greatest score there can be."""
        return self.scale or Scale(min(self.choices.values()), max(self.choices.values()))

    def schema(self) -> dict[str, Any]:
        """Of an answer: reasons come before evidence, and evidence before the verdict."""
        cited = {"span_id": {"type": "string"}, "quote": {"type": "string"}}
        evidence = {"type": "object", "properties": cited, "required": list(cited), "additionalProperties": False}
        name, verdict = self._verdict()
        members = {"reason": {"type": "string"}, "evidence": {"type": "array", "items": evidence}, name: verdict}
        return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}

    def _verdict(self) -> tuple[str, dict[str, Any]]:
        if self.scale:
            return "score", {"type": "number", "minimum": self.scale.low, "maximum": self.scale.high}
        return "label", {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Asking:
    """Which model judges, and within what; a `temperature` of None is not sent, as some models refuse any."""

    model: str
    max_tokens: int = 400
    timeout: float = 20.0
    votes: int = 1
    max_votes: int = 1
    temperature: float | None = None
    flip_band: float = 0.0

    @property
    def identity(self) -> str:
        """What a verdict depends on besides the evaluator's settings: it makes part of the revision."""
        return f"{self.model} {self.max_tokens} {self.temperature} engine {ENGINE_VERSION}"

    @property
    def most_votes(self) -> int:
        """How many there are at most."""
        return max(self.votes, self.max_votes)


class Field(NamedTuple):
    """One text of the run that is judged, and where it stands: an empty span id is of the run itself."""

    span_id: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """One judgement to be made. `shown` is what the judge sees, by the words of `sees`; `fields`, what it may cite."""

    evaluator: str
    rubric: Rubric
    shown: Mapping[str, object]
    fields: tuple[Field, ...] = ()
    examples: tuple[Mapping[str, object], ...] = ()

    @property
    def input_hash(self) -> str:
        """Of what is judged."""
        return digest_of(json.dumps(self.shown, sort_keys=True, ensure_ascii=False, default=str).encode())
