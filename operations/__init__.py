"""Commands for the people who run the system, against any deployed environment."""

import sys
from pathlib import Path

# "lambda" is a keyword, so the domain's folder is a root on the path and never a package.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
