"""`maitred topics`: created as Maitred needs them, and checked."""

from typing import TYPE_CHECKING

import typer

from streams.cli.talk import MISUSE, NO, ConfigOption, JsonOption, commands, example, load_settings, put, put_line, say

if TYPE_CHECKING:
    from streams.settings import Settings

topics_app = commands("The topics: created as Maitred needs them, and checked.")


@topics_app.command("create", epilog=example("MAITRED_KAFKA__REPLICATION=1 maitred topics create"))
def create(config: ConfigOption = None) -> None:
    """Create the topics that are missing. Those that are there stay as they are."""
    from streams.topics import create as create_topics

    settings = load_settings(config)
    created = create_topics(settings)
    for name in created:
        put_line(name)
    there = f"namespace {settings.namespace} at {settings.kafka.bootstrap}"
    say(f"{len(created)} topics created in {there}" if created else f"all topics are there, in {there}")


@topics_app.command("check", epilog=example("maitred topics check"))
def check(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Check that the topics are as they must be. Exit 1 if a worker would refuse to start."""
    from streams.topics import check as check_topics

    problems = check_topics(load_settings(config))
    for problem in problems:
        if as_json:
            put(problem._asdict())
        else:
            put_line(f"{'error' if problem.stops else 'warning'}: {problem}")
    if any(problem.stops for problem in problems):
        raise typer.Exit(NO)
    if not problems:
        say("all topics are as they must be")


def refuse_wrong_topics(settings: "Settings") -> None:
    """What keeps a worker from starting, said; exit 1 if there is something, 2 if it is a setting."""
    from streams.topics import check as check_topics

    problems = check_topics(settings)
    for problem in problems:
        say(f"{'error' if problem.stops else 'warning'}: {problem}")
    if stopping := [problem for problem in problems if problem.stops]:
        raise typer.Exit(MISUSE if any(problem.setting for problem in stopping) else NO)
