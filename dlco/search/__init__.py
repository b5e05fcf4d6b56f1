"""Discrete search: mappings of layers on machines, and steps from machine to machine."""
