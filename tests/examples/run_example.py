"""Run an example in this process: importing torch again takes longer than most runs."""

from __future__ import annotations

import importlib.util
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[2] / 'examples'


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@cache
def load_example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        f'example_{name}', EXAMPLES / f'{name}.py'
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # inspect.getsource needs this.
    spec.loader.exec_module(module)
    return module


def run_example(name: str, *args: object, cwd: Path) -> Done:
    """Call the command in a folder, and return its exit code and output."""
    here, out, err = os.getcwd(), StringIO(), StringIO()
    os.chdir(cwd)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = load_example(name).main([str(arg) for arg in args])
    except SystemExit as error:  # From argparse.
        code = int(error.code or 0)
    finally:
        os.chdir(here)
    return Done(code, out.getvalue(), err.getvalue())
