DELETE FROM leases WHERE expires_ns < ?
