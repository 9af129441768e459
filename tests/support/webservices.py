"""The whole web application over the parts that a test has; what it has not, does not answer."""

from collections.abc import Callable
from typing import Any, NoReturn

from starlette.applications import Starlette

from collector.admit.auth import Gate
from collector.billing.reprice import Outcome, Selection
from collector.budgets.views import StoredSpend
from collector.config import AuthConfig, WebConfig
from collector.errors import Reason, Unavailable
from collector.jobs import Jobs
from collector.model.clock import Clock
from collector.model.progress import Progress
from collector.query.budgets import BudgetQueries
from collector.query.service import Query
from collector.spending.enforcement import Enforcement
from collector.spending.views import BudgetViews
from collector.store import Store
from collector.web.app import web_app
from collector.web.callers import Callers
from collector.web.operation import Services


def no_store() -> NoReturn:
    raise Unavailable(Reason.STORE, "The test has no store.")


def no_reprice(_selection: Selection, _dry_run: bool, _progress: Progress) -> NoReturn:
    no_store()


def no_backup(_progress: Progress, _full: bool) -> NoReturn:
    no_store()


async def no_metrics() -> bytes:
    return b""


def services(
    enforcement: Enforcement,
    clock: Clock,
    stored: StoredSpend | None = None,
    store: Callable[[], Store] = no_store,
    reprice: Callable[[Selection, bool, Progress], Outcome] = no_reprice,
) -> Services:
    """`stored` is what the views of budgets ask; by default the store."""
    return Services(
        query=Query(store),
        enforcement=enforcement,
        budgets=BudgetViews(enforcement, stored or BudgetQueries(store), clock),
        jobs=Jobs(clock),
        reprice=reprice,
        backup=no_backup,
        metrics_text=no_metrics,
        unready_reason=str,
    )


def application(parts: Services, tokens: list[dict[str, Any]] | None = None, read_timeout: float = 10.0) -> Starlette:
    """The application; `tokens` as in the settings, by default none is needed."""
    gate = Gate(AuthConfig.model_validate({"tokens": tokens or []}))
    return web_app(Callers(gate, WebConfig()), parts, read_timeout)
