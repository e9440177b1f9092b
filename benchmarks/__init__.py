"""Measurements, each in one run beside what a user would have otherwise; never tests."""

import sys
from pathlib import Path

# "lambda" is a keyword, so the domain's folder is a root on the path and never a package.
sys.path.insert(0, str(Path(__file__).parents[1] / "lambda"))
