"""Signed webhooks: a durable outbox, and the sender that empties it."""
