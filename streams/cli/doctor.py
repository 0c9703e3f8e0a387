"""`maitred doctor`: what is wrong with servers, topics, publishers and clocks, each with its cure."""

from typing import TYPE_CHECKING

import msgspec
import typer

from streams.cli.talk import NO, ConfigOption, JsonOption, load_settings, put, put_line, say

if TYPE_CHECKING:
    from streams.doctor.findings import Verdict

MARKS = {"well": "ok", "findings": "!!", "skipped": "--"}


def doctor_command(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Examine everything a worker depends on. Changes nothing. Exit 1 if there is an error or a warning; each finding has its cure."""
    from streams.doctor.checks import all_findings, examine
    from streams.doctor.gather import gather

    verdicts = examine(gather(load_settings(config)))
    for verdict in verdicts:
        if as_json:
            put(msgspec.to_builtins(verdict))
        else:
            _tell(verdict)
    findings = list(all_findings(verdicts))
    if findings:
        say(f"{len(findings)} finding{'s' if len(findings) > 1 else ''}; docs/doctor.md says more about each check")
    else:
        say("all is well")
    if any(finding.severity != "note" for finding in findings):
        raise typer.Exit(NO)


def _tell(verdict: "Verdict") -> None:
    put_line(f"{MARKS[verdict.status]} {verdict.check:<13} {verdict.said}")
    for finding in verdict.findings:
        put_line(f"   {finding.severity}: {finding.where}: expected {finding.expected},")
        put_line(f"      got {finding.got}")
        put_line(f"      cure: {finding.cure}")
