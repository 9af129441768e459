"""The native module, where it was compiled."""

from typing import Final

try:
    from collector.capture import _rewrite as native
except ImportError:  # installed without a compiler
    native = None  # type: ignore[assignment]

NATIVE: Final = native is not None

__all__ = ["NATIVE", "native"]
