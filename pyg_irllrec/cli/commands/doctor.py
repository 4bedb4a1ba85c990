from __future__ import annotations

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.options import Config, Json, Quiet
from pyg_irllrec.cli.output import Output
from pyg_irllrec.doctor import report, report_lines

EXAMPLES = """pyg-irllrec doctor
pyg-irllrec doctor --json"""


def doctor(as_json: Json = False, quiet: Quiet = False, config: Config = None) -> None:
    r"""Report installed packages, missing extras and devices."""
    found = report()
    Output(as_json, quiet).result(found, report_lines(found))


command = Command(doctor, EXAMPLES)
