"""The web port's application: every operation of the table behind its route."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from collector.admit.auth import Gate
from collector.web.operation import Services
from collector.web.operations import OPERATIONS
from collector.web.routing import route, unrouted


def web_app(gate: Gate, services: Services, read_timeout: float) -> Starlette:
    """The application. `gate` decides who may ask; a body has `read_timeout` seconds to arrive."""
    routes = [route(operation, services, gate, read_timeout) for operation in OPERATIONS]
    app = Starlette(routes=routes, exception_handlers={HTTPException: unrouted})
    app.router.redirect_slashes = False  # a path is one that is documented, or 404
    return app
