"""Machines: fixed ones, spaces of them, and the technology that prices their parts."""
