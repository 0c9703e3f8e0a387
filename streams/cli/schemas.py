"""`maitred schemas`: whether the definitions are compatible with their history, and making them known."""

import typer

from streams.cli.talk import NO, ConfigOption, commands, example, load_settings, put_line, registry_of, say

schemas_app = commands("The schemas of all events, and their registry.")


@schemas_app.command("check", epilog=example("maitred schemas check"))
def check(config: ConfigOption = None) -> None:
    """Check every definition against all its committed versions, and against the registry if one is configured."""
    from schemas.compatibility import check_history
    from schemas.definitions import Definitions

    settings = load_settings(config)
    problems = [str(problem) for problem in check_history()]
    if settings.registry.url != "file":
        registry = registry_of(settings)
        problems += [problem for name in Definitions().names() for problem in registry.check(name)]
    for problem in problems:
        put_line(problem)
    if problems:
        raise typer.Exit(NO)
    say(f"{len(Definitions().names())} schemas, each compatible with all its versions")


@schemas_app.command("register", epilog=example("MAITRED_REGISTRY__URL=http://127.0.0.1:8081 maitred schemas register"))
def register(config: ConfigOption = None) -> None:
    """Register every definition that the registry doesn't know, and hold its subject to FULL_TRANSITIVE."""
    from schemas.definitions import Definitions

    registry = registry_of(load_settings(config))
    for name in Definitions().names():
        put_line(f"{registry.register(name)}\t{name}")


@schemas_app.command("commit", epilog=example("maitred schemas commit"))
def commit() -> None:
    """Commit each definition that has changed as its next version; for developers, before the change is committed to git."""
    from schemas.compatibility import commit_history

    versions = commit_history()
    for version in versions:
        put_line(str(version))
    if not versions:
        say("nothing has changed")
