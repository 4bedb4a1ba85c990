from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch

from pyg_irllrec import doctor

ROOT = Path(__file__).parents[1]
REQUIRES = [
    'torch>=2.6',
    'lightning>=2.4 ; extra == "train"',
    'optuna>=3 ; extra == "tune"',
    'pyg_irllrec[train, plot] ; extra == "tune"',
    'matplotlib ; extra == "plot"',
]
VERSIONS = {'torch': '2.10.1+cpu', 'lightning': '2.3.9', 'matplotlib': '3'}


def fake_version(name):
    if name not in VERSIONS:
        raise PackageNotFoundError(name)
    return VERSIONS[name]


@pytest.fixture
def found(monkeypatch):
    monkeypatch.setattr(doctor, 'requires', lambda name: REQUIRES)
    monkeypatch.setattr(doctor, 'version', fake_version)
    return doctor.report()


def test_packages_by_extra(found):
    assert found['required'] == {'torch': '2.10.1+cpu'}
    packages = {name: each['packages'] for name, each in found['extras'].items()}
    assert packages['plot'] == {'matplotlib': '3'}
    assert packages['tune'] == {'optuna': None, 'lightning': '2.3.9', 'matplotlib': '3'}
    assert found['problems'] == [
        'lightning 2.3.9 is too old: run `pip install "lightning>=2.4"`'
    ]


def test_lines_name_what_is_missing_and_how_to_install_it(found):
    lines = list(doctor.report_lines(found))
    assert 'plot    installed pictures' in lines
    place = lines.index('tune    missing   hyper-parameter search')
    assert lines[place + 1].split(maxsplit=2) == [
        'needs',
        'optuna:',
        "pip install 'pyg_irllrec[tune]'",
    ]
    assert 'optional packages: lightning 2.3.9, matplotlib 3' in lines
    assert lines[-1] == found['problems'][0]


def test_the_machine(found):
    assert found['threads']['torch'] == torch.get_num_threads()
    assert found['devices'][0] == 'cpu'
    assert len(found['devices']) == 1 + torch.cuda.device_count()
    assert found['memory_gib'] is None or found['memory_gib'] > 0


def test_a_package_that_is_not_installed(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(doctor, 'requires', missing)
    assert 'not installed' in doctor.report()['problems'][0]


def test_a_compiled_package_for_another_torch(monkeypatch):
    def broken(name):
        raise OSError('undefined symbol')

    problems: list[str] = []
    monkeypatch.setattr(doctor, 'version', lambda name: '2.1.2')
    monkeypatch.setattr(doctor, 'import_module', broken)
    assert doctor._installed('torch-sparse', '', problems) == '2.1.2'
    assert problems == [
        'torch-sparse 2.1.2 cannot be imported, build it for this torch: '
        'undefined symbol'
    ]


def test_it_runs_where_torch_does_not():
    code = """
import sys
sys.modules['torch'] = None
from pyg_irllrec.doctor import main
main(['--json'])
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, check=True)
    assert 'torch cannot be used' in json.loads(done.stdout)['problems'][-1]


def test_the_extras_are_those_of_the_package():
    text = (ROOT / 'pyproject.toml').read_text(encoding='utf-8')
    block = text.partition('[project.optional-dependencies]\n')[2].partition('\n[')[0]
    extras = set(re.findall(r'^(\w+) = ', block, re.MULTILINE))
    assert set(doctor.EXTRAS) == extras - {'dev', 'docs', 'full', 'quality', 'test'}
