"""Setting programs up to send here: their settings as data, put in place and taken back, and what is still missing."""
