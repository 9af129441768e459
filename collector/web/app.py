"""The web port's application: every operation of the table behind its route."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from collector.admit.auth import Gate
from collector.web.operation import Services
from collector.web.operations import OPERATIONS
from collector.web.routing import route, unrouted


def web_app(gate: Gate, services: Services) -> Starlette:
    """The application. `gate` decides who may ask."""
    routes = [route(operation, services, gate) for operation in OPERATIONS]
    return Starlette(routes=routes, exception_handlers={HTTPException: unrouted})
