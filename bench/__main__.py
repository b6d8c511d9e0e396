"""`python -m bench`: measure, print one table, write bench/latest.json."""

import sys

from bench.run import main

if __name__ == "__main__":
    sys.exit(main())
