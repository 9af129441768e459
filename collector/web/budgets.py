"""Handlers of budgets: may this run begin, an amount set aside for it, and how budgets stand.

A refusal is an answer, not a failure: `check` and `leases` give it with 200 and `"allowed": false`, so that a client
never takes an outage for a refusal; `authorize`, whose callers read only the status, with 403.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping

from collector.model.leases import Lease
from collector.model.principal import Principal
from collector.spending.enforcement import Granted
from collector.web.answers import BudgetsPage, LeaseAnswer, LeaseDecision, OneBudget
from collector.web.budget_answers import (
    budget_json,
    decision_headers,
    decision_json,
    lease_json,
    page_json,
    retry_header,
)
from collector.web.budget_inputs import (
    BudgetPath,
    BudgetQuery,
    BudgetsQuery,
    GatewayQuery,
    LeaseInput,
    LeasePath,
    RestPath,
    RunInput,
    SettleInput,
    run_of_headers,
)
from collector.web.operation import Call, Result, Services, answer


async def check(services: Services, call: Call[None, None, RunInput]) -> Result:
    decision = services.enforcement.check(call.body.run(call.principal.project))
    return answer(decision_json(decision), headers=retry_header(decision))


async def take_lease(services: Services, call: Call[None, None, LeaseInput]) -> Result:
    run = call.body.run(call.principal.project)
    found = await services.enforcement.lease(run, call.body.ttl_seconds)
    if isinstance(found, Granted):
        granted: LeaseDecision = {**decision_json(found.decision), "lease": lease_json(found.lease)}
        return answer(granted, 201, {"location": f"/api/v1/leases/{found.lease.id}"})
    refused: LeaseDecision = {**decision_json(found), "lease": None}
    return answer(refused, headers=retry_header(found))


async def lease(services: Services, call: Call[LeasePath, None, None]) -> Result:
    return await _lease(services.enforcement.find(call.principal.project, call.path.lease_id))


async def release_lease(services: Services, call: Call[LeasePath, None, None]) -> Result:
    return await _lease(services.enforcement.release(call.principal.project, call.path.lease_id))


async def settle_lease(services: Services, call: Call[LeasePath, None, SettleInput]) -> Result:
    return await _lease(services.enforcement.end(call.principal.project, call.path.lease_id, call.body.spent()))


async def authorize(services: Services, call: Call[None, GatewayQuery, None]) -> Result:
    """Query parameters count: whoever configured the gateway wrote them."""
    return _authorized(services, call.principal, call.headers, call.query.given())


async def authorize_below(services: Services, call: Call[RestPath, None, None]) -> Result:
    """Path and query are the client's own: neither states anything that is trusted."""
    return _authorized(services, call.principal, call.headers, ())


async def budgets(services: Services, call: Call[None, BudgetsQuery, None]) -> Result:
    return await asyncio.to_thread(_page, services, call.principal, call.query)


async def budget(services: Services, call: Call[BudgetPath, BudgetQuery, None]) -> Result:
    return await asyncio.to_thread(_budget, services, call.principal, call.path.name, call.query)


def _page(services: Services, principal: Principal, query: BudgetsQuery) -> Result:
    page = services.budgets.page(principal, query.limit, query.after)
    shown: BudgetsPage = page_json(page, services.budgets.degraded())
    return answer(shown)


def _budget(services: Services, principal: Principal, name: str, query: BudgetQuery) -> Result:
    rule = services.budgets.rule(principal, name)
    view = services.budgets.budget(principal, rule, query.where(rule.per), query.limit, query.after)
    shown: OneBudget = {"budget": budget_json(view), "degraded": services.budgets.degraded()}
    return answer(shown)


async def _lease(found: Awaitable[Lease]) -> Result:
    shown: LeaseAnswer = {"lease": lease_json(await found)}
    return answer(shown)


def _authorized(
    services: Services, principal: Principal, headers: Mapping[str, str], query: Iterable[tuple[str, str]]
) -> Result:
    keys = services.enforcement.rules.attribute_keys
    decision = services.enforcement.check(run_of_headers(principal.project, headers, query, keys))
    return answer(decision_json(decision), 200 if decision.allowed else 403, decision_headers(decision))
