"""REST for gateways and agents: may this run begin, and an amount set aside for it.

A refusal is an answer, not a failure: `check` and `leases` say it with 200 and `"allowed": false`, so that a client
never takes an outage for a verdict; `authorize`, whose callers read only the status, with 403.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from collector.admit.auth import Gate
from collector.model.principal import Principal, Scope
from collector.spending.enforcement import Enforcement, Granted
from collector.web.bodies import JsonAnswer, json_object, known_only
from collector.web.budget_answers import decision_headers, decision_json, lease_json, retry_header
from collector.web.budget_questions import estimate_of, run_of_headers, run_of_json, seconds_of

_AUTHORIZE = "/api/v1/budgets/authorize"


def routes(enforcement: Enforcement, gate: Gate) -> list[Route]:
    """Checks and leases, for tokens with the scope `budgets:check`; the project is the token's own."""

    def admitted(request: Request) -> Principal:
        return gate.admit(request.headers.items(), Scope.BUDGETS_CHECK)

    async def check(request: Request) -> Response:
        principal = admitted(request)
        decision = enforcement.check(run_of_json(principal.project, await json_object(request)))
        return JsonAnswer(decision_json(decision), headers=retry_header(decision))

    async def take(request: Request) -> Response:
        principal = admitted(request)
        body = await json_object(request)
        run = run_of_json(principal.project, body, "ttl_seconds")
        answer = await enforcement.lease(run, seconds_of("ttl_seconds", body.get("ttl_seconds")))
        if isinstance(answer, Granted):
            told = {**decision_json(answer.decision), "lease": lease_json(answer.lease)}
            return JsonAnswer(told, status_code=201, headers={"location": f"/api/v1/leases/{answer.lease.id}"})
        return JsonAnswer({**decision_json(answer), "lease": None}, headers=retry_header(answer))

    async def lease(request: Request) -> Response:
        principal, lease_id = admitted(request), request.path_params["lease_id"]
        found = enforcement.release if request.method == "DELETE" else enforcement.find
        return JsonAnswer({"lease": lease_json(await found(principal.project, lease_id))})

    async def settle(request: Request) -> Response:
        principal, lease_id = admitted(request), request.path_params["lease_id"]
        body = await json_object(request)
        known_only(body, ("spent_usd", "spent_tokens"))
        spent = estimate_of(body, "spent_usd", "spent_tokens")
        return JsonAnswer({"lease": lease_json(await enforcement.end(principal.project, lease_id, spent))})

    authorize = _Authorize(enforcement, gate)
    return [
        Route("/api/v1/budgets/check", check, methods=["POST"]),
        Route(_AUTHORIZE, authorize),
        Route(_AUTHORIZE + "/{rest:path}", authorize),
        Route("/api/v1/leases", take, methods=["POST"]),
        Route("/api/v1/leases/{lease_id}", lease, methods=["GET", "DELETE"]),
        Route("/api/v1/leases/{lease_id}/settle", settle, methods=["POST"]),
    ]


class _Authorize:
    """For gateways: any method, any path below; 200 or 403, and headers that say why. No body is read.

    Compatible with Envoy's ext_authz over HTTP, which appends the client's own path and query to the prefix, and with
    nginx's auth_request. Only without a path below are query parameters those of whoever configured the gateway.
    """

    def __init__(self, enforcement: Enforcement, gate: Gate) -> None:
        self._enforcement = enforcement
        self._gate = gate

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive, send)
        principal = self._gate.admit(request.headers.items(), Scope.BUDGETS_CHECK)
        query = [] if "rest" in request.path_params else request.query_params.items()
        keys = self._enforcement.rules.attribute_keys
        decision = self._enforcement.check(run_of_headers(principal.project, request.headers, query, keys))
        status = 200 if decision.allowed else 403
        answer = JsonAnswer(decision_json(decision), status, headers=decision_headers(decision))
        await answer(scope, receive, send)
