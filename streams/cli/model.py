"""`maitred model`: which model and which version of it scores, how they compare, and an operator's word on it."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import msgspec
import typer

from streams.cli.sending import AtOption, event_of, event_time, misuse, send
from streams.cli.talk import (
    NO,
    ConfigOption,
    JsonOption,
    commands,
    example,
    load_settings,
    moment,
    printable,
    put,
    put_line,
    put_table,
    registry_of,
    say,
)
from streams.cli.warm_start import warm_start

if TYPE_CHECKING:
    from online_models.snapshots import Snapshot
    from schemas.events import SnapshotPublished
    from streams.settings import Settings

AFTERWARDS = "what the learner has made of it: `maitred model list`"
ChoiceIdOption = Annotated[
    str | None,
    typer.Option("--choice-id", help="The choice's own id, where a tool has given it one.", show_default="one is made"),
]
VersionArgument = Annotated[str, typer.Argument(metavar="VERSION", help="As `maitred model list` names it.")]

model_app = commands("The model: which version scores, how it fares, promotion and rollback.")


# ---- what there is -----------------------------------------------------------------------------------------------------


@model_app.command("list", epilog=example("maitred model list --json"))
def list_versions(
    last: Annotated[int, typer.Option("--last", min=1, help="So many of the latest versions.")] = 20,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the versions of the model, the newest last, and mark the one that scores. Exit 1 if there is none."""
    from collections import deque

    from streams.versions import published, scoring_version

    settings = load_settings(config)
    kept = deque(published(settings, registry_of(settings)), maxlen=last)
    scoring = settings.learning.pin or scoring_version(kept[-1] if kept else None)
    if not kept:
        say("nothing is published yet: the cold start scores, which ranks by the rule")
        raise typer.Exit(NO)
    rows = [_facts(event, settings, is_scoring=event.version == scoring) for event in kept]
    if as_json:
        for row in rows:
            put(row)
        return
    put_table(
        ("version", "scores", "at", "examples", "cause", "champion", "drift"),
        [
            (
                row["version"],
                "*" if row["is_scoring"] else "",
                moment(row["occurred_at_ms"]),
                row["examples_seen"],
                row["cause"],
                row["champion"],
                " ".join(f"{drift['kind']}/{drift['series']}" for drift in row["drift"]),
            )
            for row in rows
        ],
    )
    if all(not row["is_scoring"] for row in rows):
        say(f"version {scoring} scores; --last {2 * last} may show it")


def _facts(event: "SnapshotPublished", settings: "Settings", *, is_scoring: bool) -> dict[str, Any]:  # Any: JSON
    return {
        "version": event.version,
        "is_scoring": is_scoring,
        "occurred_at_ms": event.occurred_at_ms,
        "examples_seen": event.examples_seen,
        "cause": event.cause,
        "champion": event.champion or settings.learning.champion,
        "scoring_version": event.scoring_version or event.version,
        "drift": msgspec.to_builtins(event.drift),
        "features_version": event.features_version,
        "river_version": event.river_version,
        "bytes": len(event.payload),
        "checksum": event.checksum,
    }


@model_app.command("show", epilog=example("maitred model show --json"))
def show(
    version: Annotated[
        str | None,
        typer.Argument(
            metavar="[VERSION]", help="A version, as `maitred model list` names it.", show_default="the one that scores"
        ),
    ] = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a model version: what it has learnt from, who scores in it, how it compares with the rule, drift."""
    settings = load_settings(config)
    facts = _shown(settings, version) if version else _in_use(settings)
    if as_json:
        put(facts)
        return
    for name, value in facts.items():
        if name not in ("verdicts", "spec"):
            put_line(f"{name:<18} {printable(_readable(name, value))}")
    say("how the models compare: `maitred model compare`")


def _in_use(settings: "Settings") -> dict[str, Any]:  # Any: JSON
    from features.redis_store import RedisStore
    from online_models.learner import MODEL, Learned, recall
    from online_models.model import load_model
    from streams.assembly import snapshot_source

    store = RedisStore(settings.redis.url, settings.namespace, "learner")
    learned: Learned = recall(store.read({MODEL: 0})[MODEL].value)
    store.close()
    payload = snapshot_source(settings)().value
    model = load_model(payload, settings.learning.champion)
    facts: dict[str, Any] = {
        "model_version": model.version,
        "champion": settings.learning.champion,
        "promoted": learned.standing.promoted or None,
        "held": settings.learning.pin or learned.standing.held or None,
        "challengers": [challenger.version for challenger in model.challengers],
        "drift": msgspec.to_builtins(learned.lookout.found),
        "drifts": learned.lookout.count,
    }
    return facts | (_in_snapshot(payload, settings) if payload else {})


def _shown(settings: "Settings", wanted: str) -> dict[str, Any]:  # Any: JSON
    from online_models.model import load_model

    event = _found(settings, wanted)
    model = load_model(event.payload, settings.learning.champion)
    facts = {"model_version": model.version} | _facts(event, settings, is_scoring=False)
    facts["challengers"] = [challenger.version for challenger in model.challengers]
    del facts["is_scoring"], facts["bytes"]
    return facts | _in_snapshot(event.payload, settings)


def _in_snapshot(payload: bytes, settings: "Settings") -> dict[str, Any]:  # Any: JSON
    from online_models.guard import beside_the_rule, falls_back
    from online_models.snapshots import unpack

    snapshot = unpack(payload)
    return {
        "snapshot_version": snapshot.version,
        "examples_seen": snapshot.examples_seen,
        "spec": snapshot.spec,
        "river_version": snapshot.river_version,
        "features_version": snapshot.features_version,
        "bytes": len(payload),
        "falls_back": falls_back(snapshot, settings.learning.champion),
        "verdicts": msgspec.to_builtins(beside_the_rule(snapshot)),
    }


def _readable(name: str, value: Any) -> str:  # Any: JSON
    if name == "drift":
        return " ".join(f"{d['kind']}/{d['series']} {d['before']:.3f}->{d['after']:.3f}" for d in value) or "none"
    if name.endswith("_ms"):
        return moment(value)
    if value in (None, [], {}, ""):
        return "none"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode().strip("[]{}")


@model_app.command("compare", epilog=example("maitred model compare"))
def compare(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Compare the models on the latest examples, each predicted before it was learnt: the rule, and each model beside it.

    The difference is the AUC less the rule's, with its 95 % interval. Exit 1 while nothing is published.
    """
    from online_models.snapshots import unpack
    from streams.versions import newest

    settings = load_settings(config)
    last = newest(settings, registry_of(settings))
    if last is None:
        say("nothing is published yet: there is nothing to compare")
        raise typer.Exit(NO)
    rows = _compared(unpack(last.payload))
    if as_json:
        for row in rows:
            put({"version": last.version, **row})
        return
    columns = ("look", "model", "examples", "vips", "auc", "log_loss", "difference", "from", "to")
    put_table(columns, [[row[column] for column in columns] for row in rows])


def _compared(snapshot: "Snapshot") -> list[dict[str, Any]]:  # Any: JSON
    from online_models.guard import KINDS, beside_the_rule

    rows = []
    for kind in KINDS:
        verdicts = {model: verdicts[kind] for model, verdicts in beside_the_rule(snapshot).items() if kind in verdicts}
        for rule in [*verdicts.values()][:1]:
            figures = (rule.rule_auc, rule.rule_log_loss, 0.0, 0.0, 0.0)
            rows.append(_row(kind, "rule", rule.examples, rule.positives, *figures))
        for model, seen in verdicts.items():
            low, high = seen.difference - seen.half_width, seen.difference + seen.half_width
            figures = (seen.river_auc, seen.river_log_loss, seen.difference, low, high)
            rows.append(_row(kind, model, seen.examples, seen.positives, *figures))
    return rows


def _row(
    kind: str, model: str, examples: int, vips: int, auc: float, log_loss: float, apart: float, low: float, high: float
) -> dict[str, Any]:  # Any: JSON
    figures = {"auc": auc, "log_loss": log_loss, "difference": apart, "from": low, "to": high}
    rounded = {name: round(figure, 4) for name, figure in figures.items()}
    return {"look": kind, "model": model, "examples": examples, "vips": vips, **rounded}


model_app.command("warm-start", epilog=example("maitred model warm-start history/*.parquet"))(warm_start)


# ---- an operator's word ------------------------------------------------------------------------------------------------


@model_app.command("promote", epilog=example("maitred model promote river"))
def promote(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Who scores from now on: rule, river ...")],
    choice_id: ChoiceIdOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a challenger champion: its newest version scores from now on, whatever the settings say."""
    from online_models.model import MODELS

    if model not in MODELS:
        misuse(f"expected one of {', '.join(MODELS)}, got {model!r}; `maitred model compare` shows how they fare")
    _choose(load_settings(config), "promoted", choice_id, at, as_json=as_json, model=model)


@model_app.command("rollback", epilog=example("maitred model rollback 1841"))
def rollback(
    version: VersionArgument,
    choice_id: ChoiceIdOption = None,
    at: AtOption = None,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let an earlier version score, until `promote` or `follow`. What is learnt meanwhile is published and does not score."""
    settings = load_settings(config)
    if settings.learning.pin:
        misuse(f"learning.pin holds version {settings.learning.pin}; take it out of the settings first")
    event = _found(settings, version)
    _refuse_other_features(event)
    _refuse_too_large(event)
    _choose(settings, "rolled_back", choice_id, at, as_json=as_json, payload=event.payload, version=version)


@model_app.command("follow", epilog=example("maitred model follow"))
def follow(
    choice_id: ChoiceIdOption = None, at: AtOption = None, config: ConfigOption = None, as_json: JsonOption = False
) -> None:
    """Take promotions and rollbacks back: the newest version scores, of the champion that is configured."""
    _choose(load_settings(config), "followed", choice_id, at, as_json=as_json)


def _choose(
    settings: "Settings",
    choice: str,
    choice_id: str | None,
    at: str | None,
    *,
    as_json: bool,
    payload: bytes | None = None,
    **more: str,
) -> None:
    from schemas.events import ModelChosen

    fields = {
        "choice_id": choice_id or f"choice-{uuid4().hex[:12]}",
        "occurred_at_ms": event_time(settings, at),
        "choice": choice,
        **more,
    }
    event = event_of("examples", "ModelChosen", fields)
    assert isinstance(event, ModelChosen)
    send(settings, "examples", msgspec.structs.replace(event, payload=payload), as_json=as_json)
    say(AFTERWARDS)
    if settings.learning.pin:
        say(
            f"learning.pin holds version {settings.learning.pin}: nothing else scores until it is taken out of the settings"
        )


def _found(settings: "Settings", wanted: str) -> "SnapshotPublished":
    from streams.versions import version

    event = version(settings, registry_of(settings), wanted)
    if event is None:
        misuse(
            f"expected a version that is kept on {settings.namespace}.snapshots, got {wanted!r}; `maitred model list` names them"
        )
    return event


def _refuse_other_features(event: "SnapshotPublished") -> None:
    from features.vector import FEATURES_VERSION

    if event.features_version != FEATURES_VERSION:
        misuse(
            f"expected a version over the features of this release ({FEATURES_VERSION}), got {event.features_version}; "
            "choose a later one, or run the release that published it"
        )


def _refuse_too_large(event: "SnapshotPublished") -> None:
    from schemas.codec import MAX_RECORD_BYTES

    room = MAX_RECORD_BYTES - 1_024  # for the rest of the event
    if len(event.payload) > room:
        misuse(
            f"expected a payload of at most {room} bytes, got {len(event.payload)}; pin it in the settings instead: "
            f'learning.pin = "{event.version}"'
        )
