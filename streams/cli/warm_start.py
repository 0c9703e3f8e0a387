"""`maitred model warm-start`: a model that has learnt from the history before it scores its first customer."""

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec.structs import asdict

from streams.cli.publish import BadLines
from streams.cli.sending import misuse
from streams.cli.talk import NO, ConfigOption, JsonOption, load_settings, moment, put, put_line, registry_of, say
from streams.cli.topics import refuse_wrong_topics

if TYPE_CHECKING:
    from streams.publish import Sent
    from streams.settings import Settings
    from streams.warm_start import Lessons, Past, Plan

LEARNS_WITHIN_S = 120.0


def warm_start(
    files: Annotated[
        list[Path] | None,
        typer.Argument(metavar="FILE...", help="Event files: .jsonl, .avro or .parquet.", show_default=False),
    ] = None,
    topics: Annotated[bool, typer.Option("--topics", help="Or what lies on the namespace's own topics.")] = False,
    dataset: Annotated[
        str | None, typer.Option("--dataset", help="Or a public data set: online-retail-ii, cdnow or rees46.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option("--data", envvar="MAITRED_DATA", help="The folder with the data sets.")
    ] = None,
    burn_in_days: Annotated[
        int | None,
        typer.Option(
            "--burn-in-days",
            min=0,
            help="Who bought first within so many days of the beginning teaches nothing.",
            show_default="learning.burn_in_days",
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Teach the model a history before the first customer is scored. It refuses where the model has learnt something already.

    Looks are taken and outcomes waited for as the worker would have, then the examples are published and learnt. Exit 1 if
    the history gives none: it must be longer than burn-in and horizon together.
    """
    from streams.warm_start import Lessons, examples, refuse_taught

    settings = load_settings(config)
    if sum((bool(files), topics, dataset is not None)) != 1:
        misuse("name event files, or --topics, or a public data set with --dataset")
    _refuse_twice(settings, topics=topics)
    refuse_wrong_topics(settings)
    refuse_taught(settings)
    plan, lessons, bad = _plan(settings, burn_in_days), Lessons(), BadLines()
    history = _history(settings, files or [], dataset, data, bad)
    _publish(settings, (("examples", example) for example in examples(history, plan, lessons)), lessons)
    if lessons.examples:
        _learn(settings, lessons.examples)
    _tell(lessons, plan, bad, as_json=as_json)
    if not lessons.examples:
        raise typer.Exit(NO)


def _refuse_twice(settings: "Settings", *, topics: bool) -> None:
    if topics and settings.scoring.decide_from is None:
        misuse(
            "--topics needs scoring.decide_from, the day from which the worker decides: without it the worker scores the "
            "history itself, and would learn from it a second time"
        )


def _plan(settings: "Settings", burn_in_days: int | None) -> "Plan":
    from streams.policies import learn_policy, scoring_policy
    from streams.warm_start import Plan

    scoring = scoring_policy(settings)
    return Plan(
        scoring=scoring,
        learning=learn_policy(settings),
        champion=settings.learning.champion,
        burn_in_days=settings.learning.burn_in_days if burn_in_days is None else burn_in_days,
        until_ms=scoring.decide_from_ms or None,
    )


def _history(
    settings: "Settings", files: list[Path], dataset: str | None, data: Path | None, bad: BadLines
) -> "Iterator[Past]":
    from streams.event_files import read_files
    from streams.warm_start import Past, of_topics

    if files:
        return (Past(found.at_ms, found.topic, found.event) for found in read_files(files, bad.note))
    if dataset is None:
        return of_topics(settings, registry_of(settings))
    return (Past(event.occurred_at_ms, topic, event) for topic, event in _of_dataset(dataset, data))


def _of_dataset(name: str, data: Path | None) -> "Iterator[Sent]":
    from streams.datasets import DATASETS
    from streams.datasets.dataset import Tally

    if name not in DATASETS:
        misuse(f"--dataset: expected {' or '.join(DATASETS)}, got {name!r}")
    if data is None:
        misuse(f"--dataset {name} needs --data, the folder that holds {', '.join(DATASETS[name].files)}")
    return DATASETS[name].events(data, Tally())


def _publish(settings: "Settings", taught: "Iterator[Sent]", lessons: "Lessons") -> None:
    """The examples, and behind them the word that has the model published."""
    from schemas.errors import LogUnavailable
    from sinks.kafka import KafkaPublisher
    from streams.kafka.client import publishing
    from streams.publish import Form, publish
    from streams.warm_start import full_stop

    def all_of_them() -> "Iterator[Sent]":
        yield from taught
        if lessons.examples:
            yield "examples", full_stop(lessons)

    publisher = KafkaPublisher(settings.kafka.bootstrap, publishing(settings.kafka.security))
    form = Form(namespace=settings.namespace, partitions=settings.partitions, keep_time=settings.time == "event")
    try:
        publish(all_of_them(), publisher, registry_of(settings), form)
    except LogUnavailable as error:
        cure = "delete and create that topic, or choose another namespace, to begin anew"
        raise LogUnavailable(f"{error}; {settings.namespace}.examples holds a part of the examples: {cure}") from error


def _learn(settings: "Settings", last_offset: int) -> None:
    """Have the learner learn it all, so that the first live score uses it."""
    from schemas.errors import LogUnavailable
    from streams.assembly import snapshot_source
    from streams.warm_start import learn_now

    say(f"learning {last_offset} examples ...")
    newest, deadline = snapshot_source(settings), monotonic() + LEARNS_WITHIN_S

    def has_learnt() -> bool:
        payload = newest().value
        if payload is None and monotonic() > deadline:
            cure = "the examples are published: start a worker with the learner, and look at `maitred model list`"
            raise LogUnavailable(f"no snapshot within {LEARNS_WITHIN_S:.0f} s; {cure}")
        return payload is not None and _version(payload) >= last_offset

    learn_now(settings, has_learnt)


def _version(payload: bytes) -> int:
    from online_models.snapshots import unpack

    return int(unpack(payload).version)


def _tell(lessons: "Lessons", plan: "Plan", bad: BadLines, *, as_json: bool) -> None:
    facts = {
        **asdict(lessons),
        "burn_in_days": plan.burn_in_days,
        "until_ms": plan.until_ms,
        "version": str(lessons.examples) if lessons.examples else None,
        "bad_lines": dict(bad.by_error),
    }
    if as_json:
        put(facts)
    else:
        for name, value in facts.items():
            shown = moment(value) if name.endswith("_ms") and isinstance(value, int) else value
            put_line(f"{name.removesuffix('_ms'):<12} {shown}")
    if not lessons.examples:
        say(
            "no example: the history must be longer than burn-in and horizon together, in a currency the settings know; "
            "nothing was published"
        )
    else:
        say("now start the worker: its first score uses this model")
