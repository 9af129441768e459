"""Capture policies and redaction: what of a request may reach the disk, decided before it is spooled."""

from collector.capture.capture import Applied, Capture, CaptureRules
from collector.capture.native import NATIVE

__all__ = ["NATIVE", "Applied", "Capture", "CaptureRules"]
