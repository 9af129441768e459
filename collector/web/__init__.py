"""Network out: REST, health and metrics. No SQL: reads go through `query`."""
