"""Reference documents, rendered from the code. For developers: `make docs` writes them, a test compares them."""
