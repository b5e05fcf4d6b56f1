"""Timeloop in and out: read its files, write them, run it, and compare what it counts with what dlco counts."""
