"""Handlers about the daemon itself: whether it lives, whether it is ready, and what it counts."""

from prometheus_client import CONTENT_TYPE_LATEST

from collector.web.answers import Health, NotReady, Ready
from collector.web.operation import Call, Result, Services, answer

METRICS_TYPE = CONTENT_TYPE_LATEST


async def healthz(_: Services, __: Call[None, None, None]) -> Result:
    return answer(Health(status="ok"))


async def readyz(services: Services, _: Call[None, None, None]) -> Result:
    if reason := services.unready_reason():
        return answer(NotReady(status="not ready", reason=reason), 503)
    return answer(Ready(status="ready"))


async def metrics(services: Services, _: Call[None, None, None]) -> Result:
    return Result(await services.metrics_text(), media_type=METRICS_TYPE)
