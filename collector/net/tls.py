"""TLS contexts for servers that run on asyncio."""

import ssl

from collector.config import TlsConfig
from collector.errors import StartError


def tls_context(tls: TlsConfig) -> ssl.SSLContext | None:
    """The context for these files; None without any. Raises StartError when they cannot be used."""
    if not tls.cert_file:
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=tls.client_ca_file)
        context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(str(file) for file in (tls.cert_file, tls.key_file, tls.client_ca_file) if file)
        raise StartError(f"Cannot use the TLS files {files}: {error}.") from None
    if tls.client_ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
