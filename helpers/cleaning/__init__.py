"""Typed rows to clean tables: rules as data, a quarantine, and counts that balance."""
