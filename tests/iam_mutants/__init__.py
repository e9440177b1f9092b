"""Is every permission needed? ``make iam-mutants`` takes them away one at a time and sees.

Of each role's policy, first one action of one statement is removed, then one resource. The mutated
policy is put on the deployed role by IAM's own call, which takes effect at once and leaves the same
document as Terraform would, without a deployment for each. The scenarios that should need what was
removed must then fail. A mutant that survives is a permission too many, or stands in
``survivors.toml`` with the reason.
"""

import sys

from local.workspace import REPOSITORY

# The functions' code, of which scenarios use the ids and the store.
sys.path.insert(0, str(REPOSITORY / "lambda"))
