"""A fault simulator of the payment system: the real code over a seeded, hostile cloud.

One seed is one run: clients, batch files, queue, workflow and gateway act as tasks of a seeded
scheduler with a virtual clock, faults strike at every AWS call, everything drains, and then the
invariants of the product are checked. The same seed is the very same run.
``python -m tests.simulation --help`` runs as many as wanted.
"""

import sys
from pathlib import Path

# The function code is a root on the path, never a package: "lambda" is a keyword.
_FUNCTION_CODE = str(Path(__file__).parents[2] / "lambda")
if _FUNCTION_CODE not in sys.path:
    sys.path.insert(0, _FUNCTION_CODE)
