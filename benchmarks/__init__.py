"""What spanmeter costs, as commands that print figures. See RESULTS.md."""
