"""The web port's application: every route, and how failures are answered."""

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette

from collector.admit.auth import Gate
from collector.billing.reprice import Outcome, Selection
from collector.errors import SpanmeterError
from collector.model.clock import Clock
from collector.query.service import Query
from collector.spending.budgeting import Budgeting
from collector.web import api, budget_views, budgets, health


def web_app(
    gate: Gate,
    query: Query,
    budgeting: Budgeting,
    reprice: Callable[[Selection, bool], Outcome],
    metrics_text: Callable[[], Awaitable[bytes]],
    unready_reason: Callable[[], str],
    clock: Clock,
) -> Starlette:
    """The application. `metrics_text` is what `/metrics` answers; `unready_reason` is empty while `/readyz` is well."""
    routes = [
        *health.routes(metrics_text, unready_reason),
        *api.routes(query, gate, reprice),
        *budgets.routes(budgeting.enforcement, gate),
        *budget_views.routes(budgeting.enforcement, budgeting.stored, gate, clock),
    ]
    return Starlette(routes=routes, exception_handlers={SpanmeterError: api.error_response})
