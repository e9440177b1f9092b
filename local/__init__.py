"""The payment system on one machine: an AWS emulator, the real deployment, a demonstration.

Nothing in lib/ or lambda/ knows about this package. `python -m local --help` lists its commands.
"""

import sys
from pathlib import Path

# "lambda" is a keyword, so the domain's folder is a root on the path and never a package.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
