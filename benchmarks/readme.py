r"""Write the figures of README.md and the docs from the JSON of the benchmarks.

    python -m benchmarks.readme

Replaces the text between the lines <!-- figures: NAME --> and <!-- end --> in README.md
and in all pages under docs. The new text comes from the function NAME in one of the
modules benchmarks/_figures_of_*.py, which reads benchmarks/results. A test finds
regions that are out of date, and figures outside of regions. Takes a second.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import (
    _figures_of_quality,
    _figures_of_size,
    _figures_of_speed,
    _figures_of_tests,
)

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / 'README.md', *sorted((ROOT / 'docs').rglob('*.md')))
REGION = re.compile(r'(?<=<!-- figures: )(?P<name>\w+) -->\n.*?\n?<!-- end -->', re.S)
FIGURES: dict[str, Callable[[], str]] = {
    make.__name__: make
    for make in (
        *_figures_of_quality.FIGURES,
        *_figures_of_speed.FIGURES,
        *_figures_of_size.FIGURES,
        *_figures_of_tests.FIGURES,
    )
}


def main() -> int:
    for page in PAGES:
        page.write_text(render(page), encoding='utf-8')
    return 0


def render(page: Path) -> str:
    """A page with new figures."""
    up = '../' * (len(page.relative_to(ROOT).parts) - 1)
    return render_text(page.read_text(encoding='utf-8'), up)


def render_text(text: str, up: str = '') -> str:
    """A text with new figures. :obj:`up` is the path from the text's folder to the root
    of the repository."""

    def write(region: re.Match[str]) -> str:
        name = region['name']
        if name not in FIGURES:
            raise SystemExit(f'error: unknown figures {name!r}')
        figures = FIGURES[name]().replace('](benchmarks/', f']({up}benchmarks/')
        return f'{name} -->\n{figures}\n<!-- end -->'

    return REGION.sub(write, text)


if __name__ == '__main__':
    sys.exit(main())
