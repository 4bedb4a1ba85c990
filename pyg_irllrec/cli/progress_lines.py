from __future__ import annotations

import sys

from pyg_irllrec.training._history_callback import HistoryCallback


class ProgressLines(HistoryCallback):
    r"""Print a line to standard error after every validation. It shows progress where a
    progress bar cannot, such as in a log file."""

    def on_history(self, history: list[dict[str, float]]) -> None:
        r"""Print the last row."""
        row = history[-1]
        cutoffs = [int(name.partition('@')[2]) for name in row if '@' in name]
        last = f'@{max(cutoffs, default=0)}'
        shown = [
            f'{name} {value:.4f}'
            for name, value in row.items()
            if name == 'loss' or name.endswith(last)
        ]
        line = f'epoch {row["epoch"]}: {", ".join(shown)}'
        print(line, file=sys.stderr, flush=True)
