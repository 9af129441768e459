"""`/healthz`, `/readyz` and `/metrics`."""

from collections.abc import Awaitable, Callable

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.web.bodies import JsonAnswer


def routes(metrics_text: Callable[[], Awaitable[bytes]], unready_reason: Callable[[], str]) -> list[Route]:
    """The operational routes; they need no token. `unready_reason` is a sentence, or empty when all is well."""

    async def healthz(_: Request) -> Response:
        return JsonAnswer({"status": "ok"})

    async def readyz(_: Request) -> Response:
        if reason := unready_reason():
            return JsonAnswer({"status": "not ready", "reason": reason}, status_code=503)
        return JsonAnswer({"status": "ready"})

    async def metrics(_: Request) -> Response:
        return Response(await metrics_text(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]
