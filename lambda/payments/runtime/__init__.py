"""Wiring: one module a function, each importing only what it wires."""
