"""`python -m benchmarks NAME`: measure, print a table, and end with one JSON object on the last line."""

from __future__ import annotations

import sys

from benchmarks.options import parser_of_all
from benchmarks.verbs import fail


def main(arguments: list[str] | None = None) -> int:
    """Measure what the arguments name; return the exit code."""
    options = parser_of_all().parse_args(arguments)
    from deploy import DeployError, TransientError

    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return fail("interrupted", 130)
    except (TransientError, TimeoutError) as error:
        return fail(error, 75)
    except DeployError as error:
        return fail(error, 1)


if __name__ == "__main__":
    sys.exit(main())
