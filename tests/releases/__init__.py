"""Tests of the way from commit to production, and what they have recorded."""
