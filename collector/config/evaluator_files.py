"""Files of evaluators."""

from collections.abc import Iterable
from glob import glob
from pathlib import Path

from pydantic import ValidationError

from collector.config.evaluators import EvaluatorConfig, EvaluatorFile, distinct_names
from collector.config.load import read_yaml, sentences
from collector.errors import ConfigError


def load_evaluators(path: Path) -> tuple[EvaluatorConfig, ...]:
    """The evaluators in a file: a YAML list, or one under `evaluators:`. Raises ConfigError, a sentence a mistake."""
    tree = read_yaml(path, "the evaluators in", of_list="evaluators")
    try:
        return EvaluatorFile.model_validate(tree).evaluators
    except ValidationError as error:
        lines = "\n".join(f"  {line}" for line in sentences(error, EvaluatorFile))
        raise ConfigError(f"{path} cannot be used:\n{lines}") from None


def all_evaluators(inline: Iterable[EvaluatorConfig], patterns: Iterable[str]) -> tuple[EvaluatorConfig, ...]:
    """Those of the settings and those in files, of which `patterns` names some by `*`. Raises ConfigError."""
    found = list(inline)
    for pattern in patterns:
        paths = sorted(glob(str(Path(pattern).expanduser())))  # noqa: PTH207 - a pattern may be absolute
        if not paths:
            raise ConfigError(f"evals.files: no file is named {pattern!r}.")
        for path in paths:
            found += load_evaluators(Path(path))
    try:
        return distinct_names(tuple(found))
    except ValueError as error:
        raise ConfigError(f"evaluators: {error}.") from None
