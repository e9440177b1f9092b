"""From a commit to production: what checks, keeps and proves a release.

- ``stages`` and ``bundle``: one synthesis for every stage, with a list of hashes.
- ``gate`` reads a plan and says whether it may be applied.
- ``smoke`` uses what was deployed, and ``alarms`` watches it.
- ``rollback`` deploys an ``earlier`` version.
- ``supply_chain``: bill of materials and licences of what the functions carry.
- ``audit``: known weaknesses of everything that is pinned; asks public databases.
- ``cdktn``: the same app under the successor of CDKTF, and a comparison.
- ``evidence``: all that an auditor asks for, in one folder.
- ``access``: the roles that the pipeline has in AWS, a small stack of its own.
"""
