"""The pairs of a leaderboard's rows that are significantly different, written so that they take little room on a page.

No pair depends on which other rows are shown (there is no correction for their number), so the page's script can count
the ranks, their intervals and the ties of any part of the rows: templates/ranks.js.
"""

import numpy as np
from numpy.typing import NDArray


def worse_rows(different: NDArray[np.bool_]) -> list[str]:
    """Write for each row which of the rows after it are significantly worse, as lengths of runs.

    The runs are alternately of rows that are not significantly different and of rows that are; the last one goes to the
    end of the table and is left out. `3 2` says: three rows tied, two worse, the rest tied.

    Args:
        different: (rows, rows), the rows sorted best first.
    """
    return [_runs(bits[place + 1 :]) for place, bits in enumerate(different)]


def _runs(bits: NDArray[np.bool_]) -> str:
    changes = np.flatnonzero(np.diff(bits, prepend=False))
    return " ".join(map(str, np.diff(changes, prepend=0).tolist()))
