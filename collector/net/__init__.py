"""Sockets and the protocols on them: accepting, TLS, HTTP/1.1, HTTP/2, ASGI. Knows nothing of OTLP."""
