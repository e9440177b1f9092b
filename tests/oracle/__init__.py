"""Readers that are not ours, which ours is compared with."""
