"""Print the page of the reference that lists every behaviour: ``python tests/parity/behaviours``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from behaviours import ROWS
from behaviours.page import as_markdown
from behaviours.table import holds

print(as_markdown(ROWS, holds), end="")
