"""The picture of README.md: a stored result of networks as SVG.

python bench/picture.py bench/results/networks/NAME.json docs/speed.svg
"""

import sys
from pathlib import Path

from fastdw_bench import charts, document

# It stands alone: on a page it has no style sheet, and behind it may be black.
STYLE = """<style>
text { font: 12px sans-serif; fill: #222; }
.grid { stroke: #ddd; }
.limit { stroke: #444; stroke-dasharray: 4 3; }
</style>
<rect width="100%" height="100%" fill="#fff"/>"""


def drawn(result: Path) -> str:
    """The networks on one thread."""
    head, _, body = charts.bars(document.load(result), 1).partition("\n")
    return "\n".join([head, STYLE, body, ""])


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    Path(sys.argv[2]).write_text(drawn(Path(sys.argv[1])), encoding="utf-8")
