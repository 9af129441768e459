"""The command that checks a configuration, and shows what its budgets come to."""

from collections.abc import Iterator

from collector.config import BudgetConfig, Config


def summary(config: Config) -> Iterator[str]:
    """Lines that say what a usable configuration means."""
    yield f"The configuration can be used. Data directory: {config.directory}"
    if config.budgets:
        yield "Budgets:"
    for budget in config.budgets:
        yield f"  {budget.name}: {'; '.join(_parts(budget))}"
    if config.webhooks:
        yield "Webhooks:"
    for name, webhook in config.webhooks.items():
        yield f"  {name}: {webhook.origin}, {webhook.template}"


def _parts(budget: BudgetConfig) -> Iterator[str]:
    unit = "tokens" if budget.limit_usd is None else "USD"
    rolling = budget.window is not None
    each = f" for each {', '.join(budget.per)}" if budget.per else ""
    when = f"in any {budget.period_name}" if rolling else f"a {budget.period_name} ({budget.timezone})"
    yield f"{budget.limit:,f} {unit} {when}{each}"
    yield from (f"{name} {' or '.join(map(repr, values))}" for name, values in budget.match.items())
    if budget.value_limits:
        yield f"limits of their own: {len(budget.value_limits)}"
    if budget.warn_at:
        yield f"warns at {', '.join(f'{(100 * fraction).normalize():f} %' for fraction in sorted(budget.warn_at))}"
    if budget.hard:
        yield "refuses runs beyond it"
    if budget.webhooks:
        yield f"notifies {', '.join(budget.webhooks)}"
