"""From a commit to production: what checks, keeps and proves a release.

- ``gate`` reads a plan and says whether it may be applied.
"""
