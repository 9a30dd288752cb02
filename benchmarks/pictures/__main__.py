"""Draw the pictures of README and docs/ again, into docs/pictures/.

python -m benchmarks.pictures
"""

import sys
from pathlib import Path

from benchmarks.pictures import terminal
from edge import errors
from edge.files import write_atomic

FOLDER = Path("docs/pictures")


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    write_atomic(str(FOLDER / "terminal.svg"), terminal.draw(terminal.record()).encode())
    return 0


if __name__ == "__main__":
    sys.exit(errors.run(main, "benchmarks.pictures"))
