"""The evaluators in force, for as long as the daemon runs."""

from collections.abc import Sequence

from collector.config import Config, all_evaluators
from collector.evals.evaluator import Evaluator, evaluators_of
from collector.part import Part


class Judging(Part):
    """Knows the evaluators of the settings and of the files that they name."""

    name = "evals"
    settings = ("evaluators", "judges", "evals.enabled", "evals.files", "evals.commands")
    reloadable = settings

    def __init__(self, config: Config) -> None:
        """Raises ConfigError when a file of evaluators cannot be used."""
        self.evaluators: Sequence[Evaluator] = _evaluators(config)

    async def reload(self, config: Config) -> None:
        self.evaluators = _evaluators(config)


def _evaluators(config: Config) -> Sequence[Evaluator]:
    return evaluators_of(all_evaluators(config.evaluators, config.evals.files))
