"""`spanmeter demo`: a real daemon, a small agent, real exporters, and the run as it was stored."""
