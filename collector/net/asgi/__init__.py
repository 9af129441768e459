"""ASGI applications on uvicorn, within our limits."""
