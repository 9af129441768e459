SELECT name, fingerprint FROM endpoints
