"""What evaluators that ask a model may spend, as budgets of the daemon."""

from collections.abc import Iterator
from decimal import Decimal

from collector.config.budgets import ATTRIBUTE, BudgetConfig
from collector.config.checks import Judge
from collector.config.evaluator_files import all_evaluators
from collector.config.evaluators import EvaluatorConfig
from collector.config.root import Config
from collector.errors import ConfigError
from collector.model.purposes import EVALUATOR_ATTRIBUTE, JUDGE

_LEAST = Decimal("0.000000000001")
# Of an evaluator whose calls are counted and whose money is not.
_NO_LIMIT = Decimal(1_000_000)


def cap_name(evaluator: str) -> str:
    """The budget that is an evaluator's cap."""
    return f"evaluator/{evaluator}"


def with_judge_caps(config: Config) -> Config:
    """The settings with a hard budget for each evaluator that has one: of the calls that its judge makes.

    Raises ConfigError when a file of evaluators cannot be used, or a cap cannot be kept.
    """
    caps = tuple(_caps(config))
    return config.model_copy(update={"budgets": (*config.budgets, *caps)}) if caps else config


def _caps(config: Config) -> Iterator[BudgetConfig]:
    taken = {budget.name for budget in config.budgets}
    for evaluator in all_evaluators(config.evaluators, config.evals.files):
        cap = _cap(evaluator)
        if cap is None:
            continue
        if cap.name in taken:
            raise ConfigError(f"The budget {cap.name!r} has the name of an evaluator's own; call it otherwise.")
        if config.store.ttl and cap.max_seconds > config.store.ttl:
            kept = config.store.ttl / 86_400
            text = (
                f"a {cap.period_name} is longer than spans are kept, of which it is counted (store.ttl: {kept:g} days)"
            )
            raise ConfigError(f"The budget of the evaluator {evaluator.name} cannot be kept: {text}.")
        yield cap


def _cap(evaluator: EvaluatorConfig) -> BudgetConfig | None:
    check = evaluator.check
    if not isinstance(check, Judge) or (check.budget.usd is None and check.budget.max_calls is None):
        return None
    usd = _NO_LIMIT if check.budget.usd is None else max(check.budget.usd, _LEAST)
    return BudgetConfig(
        name=cap_name(evaluator.name),
        limit_usd=usd,
        period=check.budget.period,
        timezone=check.budget.timezone,
        match={"purpose": (JUDGE,), ATTRIBUTE + EVALUATOR_ATTRIBUTE: (evaluator.name,)},
        hard=True,
    )
