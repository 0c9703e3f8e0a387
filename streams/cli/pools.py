"""`maitred pools`: how full they are, and whether they give places."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.sending import AtOption, event_of, event_time, misuse, send
from streams.cli.talk import (
    ConfigOption,
    JsonOption,
    commands,
    example,
    load_settings,
    put,
    put_table,
    registry_of,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.assignment.pools import Pool
    from streams.settings import Settings

pools_app = commands("The pools of advisors: how full they are, pausing and resuming.")

PoolArgument = Annotated[str, typer.Argument(metavar="POOL", help="The pool, as the settings name it.")]


@pools_app.command("list", epilog=example("maitred pools list --json"))
def list_pools(config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Show each pool as the assigner has it: paused or not, advisors, places, who is served and who waits."""
    settings = load_settings(config)
    rows = [_facts(name, pool, settings) for name, pool in sorted(_pools(settings).items())]
    if as_json:
        for row in rows:
            put(row)
        return
    columns = ("pool", "status", "advisors", "away", "capacity", "served", "free_now", "waiting")
    put_table(columns, [[row[column] for column in columns] for row in rows])


@pools_app.command("pause", epilog=example("maitred pools pause main"))
def pause(pool: PoolArgument, at: AtOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Give no more places until resumed; whoever would get one waits. Services, reports and a person's wishes go on."""
    _change(pool, "paused", at, config, as_json=as_json)


@pools_app.command("resume", epilog=example("maitred pools resume main"))
def resume(pool: PoolArgument, at: AtOption = None, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Give places again: first to those who wait, the best first."""
    _change(pool, "assigning", at, config, as_json=as_json)


def _change(pool: str, status: str, at: str | None, config: Any, *, as_json: bool) -> None:
    # Any: a path or none, as `ConfigOption`
    settings = load_settings(config)
    _refuse_unknown(settings, pool)
    fields = {"pool": pool, "occurred_at_ms": event_time(settings, at), "status": status}
    send(settings, "roster", event_of("roster", "PoolChanged", fields), as_json=as_json)
    say("what the assigner has made of it: `maitred pools list`")


def _refuse_unknown(settings: "Settings", pool: str) -> None:
    """A pool of the roster that the settings don't know is one; it gets nobody by its market."""
    from streams.latest import roster

    if pool in _configured(settings):
        return
    said = roster(settings, registry_of(settings))
    known = _configured(settings) | said.pools.keys() | {name for name, _ in said.advisors}
    if pool not in known:
        misuse(
            f"expected a pool of the settings or the roster ({', '.join(sorted(known))}), got {pool!r}; `maitred pools list` shows them"
        )
    say(f"warning: the settings know no pool {pool}, only {', '.join(sorted(_configured(settings)))}")


def _configured(settings: "Settings") -> set[str]:
    return {settings.markets.default_pool, *settings.markets.pools.values()}


def _pools(settings: "Settings") -> "Mapping[str, Pool]":
    """The pools of the settings and of the roster, from the assigner's store."""
    from features.redis_store import RedisStore
    from schemas.ids import partition_of
    from streams.assignment.desk import POOL
    from streams.assignment.pools import decode_pool
    from streams.latest import roster

    said = roster(settings, registry_of(settings))
    names = _configured(settings) | said.pools.keys() | {pool for pool, _ in said.advisors}
    store = RedisStore(settings.redis.url, settings.namespace, "assigner")
    seen = store.read({POOL + name: partition_of(name, settings.partitions) for name in names})
    store.close()
    return {name: decode_pool(seen[POOL + name].value) for name in names}


def _facts(name: str, pool: "Pool", settings: "Settings") -> dict[str, Any]:  # Any: JSON
    """At the present moment; in a history at the time of the pool's last change."""
    from streams.assignment.places import free_places

    now_ms = pool.clock_ms if settings.time == "event" else time.time_ns() // 1_000_000
    here = {advisor_id: advisor for advisor_id, advisor in pool.advisors.items() if advisor.status != "left"}
    by_advisor = {
        advisor_id: {
            "status": advisor.status,
            "is_away": advisor.is_away(now_ms),
            "capacity": advisor.capacity,
            "served": pool.load(advisor_id),
            "free_now": max(0, free_places(pool, advisor_id, advisor, now_ms)),
        }
        for advisor_id, advisor in sorted(here.items())
    }
    return {
        "pool": name,
        "status": pool.status,
        "advisors": len(here),
        "away": sum(facts["is_away"] for facts in by_advisor.values()),
        "capacity": sum(advisor.capacity for advisor in here.values()),
        "served": sum(len(ends) for ends in pool.ends.values()),
        "free_now": sum(facts["free_now"] for facts in by_advisor.values()),
        "waiting": len(pool.waiting),
        "by_advisor": by_advisor,
    }
