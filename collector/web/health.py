"""`/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.web.bodies import JsonAnswer


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether spans reach the store, and if not, why in a sentence."""

    ready: bool
    reason: str = ""


def routes(metrics_text: Callable[[], Awaitable[bytes]], readiness: Callable[[], Readiness]) -> list[Route]:
    """The operational routes; they need no token."""

    async def healthz(_: Request) -> Response:
        return JsonAnswer({"status": "ok"})

    async def readyz(_: Request) -> Response:
        state = readiness()
        if state.ready:
            return JsonAnswer({"status": "ready"})
        return JsonAnswer({"status": "not ready", "reason": state.reason}, status_code=503)

    async def metrics(_: Request) -> Response:
        return Response(await metrics_text(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
