"""`spanmeter check-config`: whether the configuration can be used, and what its budgets come to."""

import argparse
from collections.abc import Iterator

from collector.cli.exit_codes import OK
from collector.cli.options import config_of
from collector.config import BudgetConfig, Config, render_example


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add the command to the parser's."""
    text = "Say whether the configuration can be used."
    check = commands.add_parser("check-config", parents=[common], help=text, description=text)
    check.set_defaults(command=_check_config)
    check.add_argument("--example", action="store_true", help="print every setting with its default instead")


def _check_config(options: argparse.Namespace) -> int:
    if options.example:
        print(render_example(), end="")
        return OK
    print("\n".join(summary(config_of(options))))
    return OK


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
