"""Entry point of ``python -m operations``, which ``pipenv run payments`` is."""

import sys

from operations.cli import main

if __name__ == "__main__":
    sys.exit(main())
