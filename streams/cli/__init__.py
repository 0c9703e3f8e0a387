"""The command line: `maitred`. Each command loads the settings, calls what does the work, and tells what came of it."""

import io
import json
import sys
from typing import Annotated

import typer

from streams.cli.assignments import assignments_app
from streams.cli.contract import asyncapi_command
from streams.cli.deliver import deliver_app
from streams.cli.demo import demo_command
from streams.cli.doctor import doctor_command
from streams.cli.events import events_app
from streams.cli.model import model_app
from streams.cli.pools import pools_app
from streams.cli.publish import publish_command
from streams.cli.rejected import rejected_app
from streams.cli.replay import replay_command
from streams.cli.roster import roster_app
from streams.cli.schemas import schemas_app
from streams.cli.settings import settings_app
from streams.cli.show import customer_command
from streams.cli.simulate import simulate_command
from streams.cli.talk import ConfigOption, commands, example, load_settings, put_line, registry_of, say
from streams.cli.topics import refuse_wrong_topics, topics_app
from streams.cli.verify import verify_command

app = commands("Scores first purchases for VIP potential, assigns personal advisors, announces loyalty tiers.")
app.command("demo", epilog=example("maitred demo --seconds 30 --seed 7"))(demo_command)
app.add_typer(topics_app, name="topics")
app.add_typer(schemas_app, name="schemas")
app.add_typer(settings_app, name="settings")
app.add_typer(assignments_app, name="assignments")
app.add_typer(pools_app, name="pools")
app.add_typer(roster_app, name="roster")
app.add_typer(deliver_app, name="deliver")
app.add_typer(rejected_app, name="rejected")
app.add_typer(model_app, name="model")
app.command("publish", epilog=example("maitred publish --dataset online-retail-ii --data ../data"))(publish_command)
app.add_typer(events_app, name="events")
app.command("asyncapi", epilog=example("maitred asyncapi > asyncapi.yaml"))(asyncapi_command)
app.command("doctor", epilog=example("maitred doctor --json"))(doctor_command)
app.command("simulate", epilog=example("maitred simulate --customers 100000 --to shop --format parquet"))(
    simulate_command
)
app.command("verify", epilog=example("maitred verify --settings before-june.toml"))(verify_command)
app.command("replay", epilog=example("maitred replay --dataset online-retail-ii --data ../data --to report"))(
    replay_command
)
app.command("customer", epilog=example("maitred customer 13085"))(customer_command)


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        put_line(f"maitred {version('maitred')}")
        raise typer.Exit


@app.callback()
def maitred(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    """Scores first purchases for VIP potential, assigns personal advisors, announces loyalty tiers."""


@app.command(epilog=example("maitred worker --processor scorer --processor assigner"))
def worker(
    processor: Annotated[
        list[str] | None,
        typer.Option("--processor", help="Run only this one: scorer, assigner or learner. May be given several times."),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Run a worker until it is told to stop. It refuses to start on topics that are not as they must be."""
    from streams.worker import run

    settings = load_settings(config, {"MAITRED_WORKER__PROCESSORS": json.dumps(processor)} if processor else {})
    refuse_wrong_topics(settings)
    run(settings)


@app.command(epilog=example("maitred rebuild --into maitred-2 --partitions 12"))
def rebuild(
    into: Annotated[str, typer.Option("--into", help="The new namespace; its topics must not exist yet.")],
    partitions: Annotated[
        int | None, typer.Option("--partitions", min=1, help="Partitions there; as many as now without it.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Copy the source topics into a new namespace, where workers decide everything anew."""
    from sinks.kafka import KafkaPublisher
    from streams.kafka.client import kafka_config, publishing
    from streams.rebuild import rebuild as copy_sources

    settings = load_settings(config)
    copied = copy_sources(
        settings,
        into=into,
        partitions=partitions or settings.partitions,
        kafka=kafka_config,
        registry=registry_of(settings),
        publisher=KafkaPublisher(settings.kafka.bootstrap, publishing(settings.kafka.security)),
    )
    for topic, records in copied.records.items():
        put_line(f"{topic}\t{records}")
    say(f"now start workers with namespace = {into!r} and partitions = {copied.settings.partitions}")


def main() -> None:
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name in letters that the terminal lacks ends nothing
    app(prog_name="maitred")
