"""The web port's application: every operation of the table, and every page, behind its route."""

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collector.web.callers import Callers
from collector.web.mcp.endpoint import McpEndpoint
from collector.web.mcp.words import PATH
from collector.web.operation import Services
from collector.web.operations import OPERATIONS
from collector.web.pages.routes import failure_page, page_routes
from collector.web.routing import failed, route, unrouted


def web_app(callers: Callers, services: Services, read_timeout: float) -> Starlette:
    """The application. `callers` decides who may ask; a body has `read_timeout` seconds to arrive."""
    operations = [route(operation, services, callers, read_timeout) for operation in OPERATIONS]
    endpoint = McpEndpoint(services, callers, read_timeout)
    mcp = [Route(PATH, endpoint, methods=["POST"])] if callers.speaks_mcp else []
    routes = [*operations, *mcp, *page_routes(services, callers, read_timeout)]
    app = Starlette(routes=routes, exception_handlers={HTTPException: partial(_nothing, services)})
    app.router.redirect_slashes = False  # a path is one that is documented, or 404
    return app


async def _nothing(services: Services, request: Request, error: Exception) -> Response:
    """What no route answers, as a page for browsers."""
    failure, headers = unrouted(services, request, error)
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/"):
        return await failure_page(request, failure, headers)
    result = failed(failure)
    return Response(result.body, result.status, {**headers, **result.headers}, result.media_type)
