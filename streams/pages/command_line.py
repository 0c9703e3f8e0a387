"""`docs/cli.md`: every command with its options, as `--help` tells them; the text is Typer's own."""

import re

import typer
from typer.cli import get_docs_for_click

from streams.cli import app

OPENING = """\
# Command line

*Written by `make docs` from the commands themselves.*

Data goes to stdout, talk to stderr. The exit code is 0 for yes or done, 1 for no, 2 for misuse. `--json` gives one JSON object,
or one a line, wherever a program may want to read. Every setting can be given by an environment variable as well
([configuration](configuration.md)).
"""
EXAMPLE = re.compile(r"^Example: (.+)$", re.MULTILINE)


def command_line_page() -> str:
    command = typer.main.get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="maitred", title="")
    body = text[text.index("**Usage**") :]
    return OPENING + "\n" + EXAMPLE.sub(r"```console\n$ \1\n```", body).strip() + "\n"
