"""Helpers of the LTV workbook: a shop's orders in, summaries, measures and pictures out."""
