"""Upgrade and rollback of a deployed environment, with everything in the middle."""
