"""Several receiver processes on the same ports, and the process that starts and watches them."""
