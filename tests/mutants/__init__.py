"""Mutation of the function code: each small change must fail a test, or be explained by name.

- ``mutants``: the changes, made by cosmic-ray
- ``touching``: which test runs which line, so that a mutant is given those tests only
- ``patching``: one changed function in a process that has imported everything
- ``sessions``: tests run in forks, a mutant each
- ``results``: what is known of each mutant, kept as it becomes known
- ``survivors``: which mutants may survive, and why
"""
