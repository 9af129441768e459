"""Capture policies and redaction: what of a request may reach the disk, decided before it is spooled."""

from collector.capture.capture import Applied, Capture, CaptureRules

__all__ = ["Applied", "Capture", "CaptureRules"]
