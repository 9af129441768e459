"""Capture policies and redaction: what of a request may reach the disk, decided before it is spooled."""

from collector.capture.capture import NATIVE, Applied, Capture, CaptureRules

__all__ = ["NATIVE", "Applied", "Capture", "CaptureRules"]
