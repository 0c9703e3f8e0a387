"""`maitred doctor`: what is wrong with servers, topics, publishers and clocks, each with its cure."""

from typing import TYPE_CHECKING

import msgspec
import typer

from streams.cli.talk import NO, ConfigOption, JsonOption, load_settings, put, put_line, say

if TYPE_CHECKING:
    from streams.doctor.findings import Verdict

MARKS = {"well": "ok", "findings": "!!", "skipped": "--"}


def doctor_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Examine everything a worker depends on. Changes nothing. Exit 1 if anything is wrong; each finding has its cure."""
    from streams.doctor.checks import examine
    from streams.doctor.gather import gather

    verdicts = examine(gather(load_settings(config)))
    for verdict in verdicts:
        if as_json:
            put(msgspec.to_builtins(verdict))
        else:
            _tell(verdict)
    count = sum(len(verdict.findings) for verdict in verdicts)
    if count:
        say(f"{count} finding{'s' if count > 1 else ''}; docs/doctor.md says more about each check")
        raise typer.Exit(NO)
    say("all is well")


def _tell(verdict: "Verdict") -> None:
    put_line(f"{MARKS[verdict.status]} {verdict.check:<13} {verdict.said}")
    for finding in verdict.findings:
        put_line(f"   {finding.severity}: {finding.where}: expected {finding.expected},")
        put_line(f"      got {finding.got}")
        put_line(f"      cure: {finding.cure}")
