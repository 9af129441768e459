"""Which reports of usage are one model call, so that it is billed once."""
