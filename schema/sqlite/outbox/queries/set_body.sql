UPDATE deliveries SET body = ? WHERE id = ?
