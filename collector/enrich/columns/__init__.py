"""Enrichment by column, with the native module."""
