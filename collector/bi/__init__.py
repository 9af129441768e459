"""The embedded store as a ClickHouse server for BI tools: its HTTP interface, read-only and fenced in."""
