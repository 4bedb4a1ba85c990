r"""A report on the installation, as ``python -m pyg_irllrec.doctor``.

It imports the standard library alone at first: it has to run where torch does not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import warnings
from collections.abc import Iterator, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any, Optional

EXTRAS = {
    'train': 'the training loop and evaluation',
    'cli': 'the command pyg-irllrec',
    'serve': 'the command, the HTTP service and faiss',
    'data': 'your own tables',
    'text': 'sentence-transformers and local language models',
    'llm': "any server with OpenAI's API",
    'ray': 'intent extraction on a Ray cluster',
    'hub': 'bundles on the Hugging Face Hub',
    'tune': 'hyper-parameter search',
    'plot': 'pictures',
    'triton': 'fused CUDA kernels',
    'sparse': 'torch-scatter and torch-sparse',
}
"""What each extra adds."""

# Those that are compiled against torch: another torch breaks them.
_COMPILED = ('torch-scatter', 'torch-sparse')
# A name, its extras, the oldest version that is allowed, and the extra it is part of.
_REQUIREMENT = re.compile(
    r'([\w.-]+)(?:\[(.*?)\])?(?:>=([\d.]+))?(?:.*extra == "(\w+)")?'
)
_Wanted = list[tuple[str, str, str, Optional[str]]]


def report() -> dict[str, Any]:
    r"""Return what is installed, what is missing, and what this machine offers.

    Returns:
        A dictionary that JSON can store: versions, :obj:`"required"` packages,
        :obj:`"extras"`, :obj:`"devices"`, :obj:`"triton"`, :obj:`"threads"`,
        :obj:`"memory_gib"` and, as sentences, :obj:`"problems"`.

    Example:
        >>> from pyg_irllrec.doctor import report
        >>> sorted(report()['required'])[-2:]
        ['torch-geometric', 'tqdm']
    """
    from pyg_irllrec import __version__

    found: dict[str, Any] = {
        'pyg_irllrec': __version__,
        'python': platform.python_version(),
        'platform': platform.platform(),
        'required': {},
        'extras': {},
        'devices': ['cpu'],
        'triton': 'not usable: torch cannot be used',
        'threads': {'cpus': _count_cpus(), 'torch': None},
        'memory_gib': _memory_gib(),
        'problems': [],
    }
    _add_packages(found)
    try:
        _add_torch(found)
    except (ImportError, OSError, RuntimeError) as error:
        found['problems'].append(f'torch cannot be used: {error}')
    return found


def report_lines(found: dict[str, Any]) -> Iterator[str]:
    r"""Yield a report as lines for a terminal.

    Args:
        found (dict): What :func:`report` has returned.

    Example:
        >>> from pyg_irllrec.doctor import report, report_lines
        >>> print(next(report_lines(report())))
        pyg_irllrec 0.1.0
    """
    yield f'pyg_irllrec {found["pyg_irllrec"]}'
    yield f'Python {found["python"]}, {found["platform"]}'
    yield ''
    for name, installed in found['required'].items():
        yield f'{name:<16} {installed or "missing"}'
    yield ''
    for extra, each in found['extras'].items():
        missing = [name for name, own in each['packages'].items() if own is None]
        yield f'{extra:<7} {"missing" if missing else "installed":<9} {each["unlocks"]}'
        if missing:
            yield f'{"":<17} needs {", ".join(missing)}: {each["install"]}'
    packages: dict[str, Optional[str]] = {}
    for each in found['extras'].values():
        packages |= each['packages']
    versions = [f'{name} {own}' for name, own in packages.items() if own]
    yield f'optional packages: {", ".join(versions) or "none"}'
    yield ''
    yield f'devices  {", ".join(found["devices"])}'
    yield f'Triton   {found["triton"]}'
    threads = found['threads']
    yield f'threads  {threads["torch"]} of torch, {threads["cpus"]} CPUs'
    yield f'memory   {found["memory_gib"] or "unknown"} GiB'
    yield ''
    yield from found['problems'] or ['no problem found']


def main(argv: Optional[Sequence[str]] = None) -> None:
    r"""Print the report, and exit with status 0 even if it names problems.

    Args:
        argv (sequence of str, optional): The words after the program's name.
            (default: :obj:`None`, the arguments of the process)
    """
    parser = argparse.ArgumentParser('pyg_irllrec.doctor', description=__doc__)
    parser.add_argument('--json', action='store_true', help='Print one JSON object.')
    as_json = parser.parse_args(argv).json
    found = report()
    print(json.dumps(found, indent=2) if as_json else '\n'.join(report_lines(found)))


def _add_packages(found: dict[str, Any]) -> None:
    try:
        lines = requires('pyg_irllrec') or []
    except PackageNotFoundError:
        found['problems'].append(
            'pyg_irllrec is imported from a folder that is not installed, so its '
            'requirements are unknown: run `pip install .` in its repository'
        )
        return
    wanted: _Wanted = [
        match.groups(default='')  # type: ignore[misc]
        for match in map(_REQUIREMENT.match, lines)
        if match
    ]
    problems = found['problems']
    for name, oldest in _packages(wanted, '').items():
        found['required'][name] = installed = _installed(name, oldest, problems)
        if installed is None:
            problems.append(f'{name} is missing: run `pip install {name}`')
    for extra, unlocks in EXTRAS.items():
        found['extras'][extra] = {
            'unlocks': unlocks,
            'packages': {
                name: _installed(name, oldest, problems)
                for name, oldest in _packages(wanted, extra).items()
            },
            'install': f"pip install 'pyg_irllrec[{extra}]'",
        }


def _packages(wanted: _Wanted, extra: str) -> dict[str, str]:
    r"""The packages of an extra with their oldest versions, through extras of this
    package that it includes."""
    found = {}
    for name, included, oldest, its_extra in wanted:
        if its_extra == extra and name != 'pyg_irllrec':
            found[name] = oldest
        elif its_extra == extra:
            for other in re.findall(r'\w+', included):
                found.update(_packages(wanted, other))
    return found


def _installed(name: str, oldest: str, problems: list[str]) -> Optional[str]:
    r"""The version of a package, or :obj:`None` if it is missing."""
    try:
        found = version(name)
        if name in _COMPILED:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                import_module(name.replace('-', '_'))
    except PackageNotFoundError:
        return None
    except (ImportError, OSError, RuntimeError) as error:
        problem = f'{name} {found} cannot be imported, build it for this torch: {error}'
    else:
        if not oldest or _numbers(found) >= _numbers(oldest):
            return found
        problem = f'{name} {found} is too old: run `pip install "{name}>={oldest}"`'
    if problem not in problems:
        problems.append(problem)
    return found


def _numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r'\d+', text)[:3]]


def _add_torch(found: dict[str, Any]) -> None:
    import torch

    found['threads']['torch'] = torch.get_num_threads()
    found['triton'] = 'not usable: PyTorch finds no CUDA device'
    if not torch.cuda.is_available():
        if torch.version.cuda:
            found['problems'].append(
                f'torch is built for CUDA {torch.version.cuda} and finds no device: '
                'check the driver with `nvidia-smi`'
            )
        return
    for number in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(number)
        memory = device.total_memory / 2**30
        found['devices'].append(f'cuda:{number} ({device.name}, {memory:.1f} GiB)')
    from pyg_irllrec.functional._kernels._load_triton import can_run_triton

    if can_run_triton(torch.empty(0, device='cuda')):
        found['triton'] = 'usable'
    else:
        found['triton'] = 'not usable: it needs the extra triton and a C compiler'


def _count_cpus() -> Optional[int]:
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _memory_gib() -> Optional[float]:
    try:
        return round(
            os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30, 1
        )
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf.
        return None


if __name__ == '__main__':
    main()
