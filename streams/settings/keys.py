"""Every key of `maitred.toml`, by section: its type, its limits, its default, and what it says, in one place.

`docs/configuration.md` and the commented `maitred.toml` are written from these classes. Reading them is `settings.py`'s
work, what values must not contradict each other `contradictions.py`'s.
"""

from datetime import date
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct


def says(description: str, **limits: Any) -> Meta:  # Any: whatever limits Meta knows
    return Meta(description=description, **limits)


Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
Days = Annotated[int, Meta(ge=1, le=3_650)]
Share = Annotated[float, Meta(ge=0, le=1)]
Rate = Annotated[float, Meta(gt=0)]
Code = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Word = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(min_length=1)]


class Kafka(Struct, frozen=True, kw_only=True):
    """Where the events come from and the decisions go."""

    bootstrap: Annotated[Text, says("Brokers to ask first: `host:port`, several separated by commas.")] = (
        "127.0.0.1:9092"
    )
    embedded: Annotated[
        bool,
        says(
            "Whether it is the broker embedded in librdkafka, as in `maitred demo`: it needs some help, and promises "
            "nothing across a crash."
        ),
    ] = False
    security: Annotated[
        dict[str, str],
        says(
            'Passed on to librdkafka as it is: `"security.protocol" = "SASL_SSL"`, the `sasl.` and `ssl.` '
            "options and the like."
        ),
    ] = {}
    replication: Annotated[
        int,
        says(
            "Copies of each topic that `maitred topics create` asks for. A single broker for development can keep only 1.",
            ge=1,
            le=9,
        ),
    ] = 3
    transaction_timeout_ms: Annotated[
        int,
        says(
            "After this time Kafka ends a transaction that its worker has left open; until then readers wait for it.",
            ge=1_000,
            le=900_000,
        ),
    ] = 10_000
    session_timeout_ms: Annotated[
        int,
        says(
            "After this time without a sign of life a worker's partitions go to others.",
            ge=1_000,
            le=1_800_000,
        ),
    ] = 10_000
    fetch_wait_max_ms: Annotated[
        int,
        says(
            "How long a broker may wait for more records before it answers; the end of a partition goes unnoticed as long. The broker embedded in librdkafka always waits this long: set 10 there.",
            ge=1,
            le=60_000,
        ),
    ] = 20
    answer_timeout_ms: Annotated[
        int,
        says("After this time without an answer Kafka counts as unavailable.", ge=1_000, le=600_000),
    ] = 15_000


class Redis(Struct, frozen=True, kw_only=True):
    """Where the profiles are served from: Redis 7 or later, or Valkey."""

    url: Annotated[
        str,
        says(
            "`redis://`, `rediss://` or `unix://`, as redis-py reads it.",
            pattern=r"^(rediss?|unix|rediss?\+cluster)://",
        ),
    ] = "redis://127.0.0.1:6379/0"


class Registry(Struct, frozen=True, kw_only=True):
    """Which schema an id in a record's first bytes names."""

    url: Annotated[
        str,
        says(
            '`"file"`: the committed history in `schemas/history`. Or the URL of a Confluent-compatible registry.',
            pattern="^(file|https?://.+)$",
        ),
    ] = "file"


class Worker(Struct, frozen=True, kw_only=True):
    """What this worker runs, and where it can be asked how it does."""

    processors: Annotated[
        tuple[Literal["scorer", "assigner", "learner"], ...],
        says("Which of the three processors run here.", min_length=1),
    ] = ("scorer", "assigner", "learner")
    instance: Annotated[
        str,
        says(
            "A name of this worker's own, such as a pod's. Empty: one is made at each start.",
            pattern=r"^[A-Za-z0-9._-]{0,64}$",
        ),
    ] = ""
    data_dir: Annotated[Text, says("A folder for the process's own small files. Nothing of worth is kept there.")] = (
        ".maitred"
    )
    web_host: Annotated[
        Text,
        says("Where health and metrics are served. Loopback, unless something in front of it keeps strangers out."),
    ] = "127.0.0.1"
    web_port: Annotated[int, says("The port for it; 0 serves nothing.", ge=0, le=65_535)] = 6066


class Batch(Struct, frozen=True, kw_only=True):
    """How records are gathered into what is committed at once. Never changes what is decided."""

    max_records: Annotated[int, says("Records in a batch, at most.", ge=1, le=100_000)] = 2_000
    max_bytes: Annotated[int, says("Bytes of records in a batch, at most.", ge=1_000, le=1_000_000_000)] = 8_000_000
    max_wait_ms: Annotated[int, says("How long one poll waits for records while there are none.", ge=1, le=60_000)] = (
        100
    )
    allowed_lateness_ms: Annotated[
        int,
        says(
            "How late a record may come and still be taken in order: the watermark stays this far behind.",
            ge=0,
            le=86_400_000,
        ),
    ] = 60_000
    max_idle_ms: Annotated[
        int,
        says(
            "How long a partition waits for a source that lags, before it goes on without it.",
            ge=0,
            le=3_600_000,
        ),
    ] = 500
    buffer_records: Annotated[
        int,
        says(
            "Records of one source and partition that may wait; beyond it reading pauses.",
            ge=1,
            le=10_000_000,
        ),
    ] = 20_000


class Money(Struct, frozen=True, kw_only=True):
    """The currency in which everything is counted. Amounts in settings are in its minor units (cents)."""

    base: Annotated[Code, says("ISO 4217 code of the base currency. Never changed for a namespace, as `time`.")] = "EUR"
    rates: Annotated[
        dict[Code, Rate],
        says(
            "What one unit of another currency is worth in units of the base: `GBP = 1.17`. Minor units are "
            "worked out (JPY has none, KWD has thousandths). An event in a currency that is not here is rejected."
        ),
    ] = {}


class Markets(Struct, frozen=True, kw_only=True):
    """Which pool of advisors serves which market."""

    default_pool: Annotated[Name, says("The pool of all markets not named below.")] = "main"
    pools: Annotated[dict[Word, Name], says('Market to pool: `DE = "dach"`.')] = {}


class Scoring(Struct, frozen=True, kw_only=True):
    """What a VIP is, and when customers are looked at."""

    horizon_days: Annotated[Days, says("How long after the first purchase the outcome is judged.")] = 180
    outcomes_days: Annotated[
        tuple[Days, ...],
        says(
            "After how many days an outcome becomes an example; ascending, the last is the horizon.",
            min_length=1,
            max_length=8,
        ),
    ] = (30, 180)
    look_days: Annotated[
        tuple[Literal[7, 14, 30], ...], says("Days after the first purchase at which to look again.")
    ] = (7, 14, 30)
    looks_until_days: Annotated[
        Days, says("How many days after the first purchase orders and returns are looked at, too.")
    ] = 30
    vip_amount_minor: Annotated[
        Annotated[int, Meta(ge=1, le=10**12)] | None,
        says(
            "Net spend after the first order, within the horizon, that makes a VIP, in minor units of the base "
            "currency. 120000 where neither this nor `vip_tier` is set."
        ),
    ] = None
    vip_tier: Annotated[
        Word | None, says("Or the tier that makes a VIP, by name. Not together with `vip_amount_minor`.")
    ] = None
    decide_from: Annotated[
        date | None,
        says(
            "Going live with a history: what happened before this day (UTC) is taken in, and nothing is announced of it."
        ),
    ] = None
    visitors_kept_days: Annotated[
        Days, says("How long what a visitor looked at is kept for the order that may follow.")
    ] = 90
    reasons: Annotated[int, says("How many reasons a score carries, the largest first.", ge=0, le=100)] = 5


class Tier(Struct, frozen=True, kw_only=True):
    """A loyalty tier. Tiers are listed from the lowest to the highest."""

    name: Annotated[Word, says("Its name, as it is announced.")]
    qualifying_minor: Annotated[
        int, says("Qualifying spend that reaches it: net of returns, in the last 365 days.", ge=1, le=10**12)
    ]
    orders: Annotated[int, says("Orders in the same time that it needs besides.", ge=0, le=10_000)] = 0


class TierChanges(Struct, frozen=True, kw_only=True):
    """When a tier change is announced."""

    near_share: Annotated[
        Share, says("`near` is announced when this share of a tier's qualifying spend, or less, is missing.")
    ] = 0.1
    near_hysteresis: Annotated[
        Share, says("And said again only after the customer was further away than that, by this share of the distance.")
    ] = 0.25
    cool_down_days: Annotated[
        Annotated[int, Meta(ge=0, le=3_650)], says("And not within this many days of the last time.")
    ] = 30
    at_risk_within_days: Annotated[
        Annotated[int, Meta(ge=1, le=364)],
        says("`at_risk` is announced when a tier will be lost within so many days if nothing is bought."),
    ] = 30


class Assignment(Struct, frozen=True, kw_only=True):
    """Who gets a personal advisor: rules, then the price of a place, then the arm of the experiment."""

    consent: Annotated[
        Literal["granted", "not_withdrawn"],
        says("Whether a customer must have agreed to personal advice, or only must not have refused it."),
    ] = "granted"
    serve_vips: Annotated[bool, says("Whether customers who are VIP already may be given an advisor.")] = False
    experiment: Annotated[
        Name,
        says("The experiment's name. A new name draws treatment and control anew, for customers not yet drawn."),
    ] = "advisors"
    control_share: Annotated[
        float,
        says(
            "The share of customers who passed rules and price and are deliberately not assigned, to compare with.",
            ge=0,
            lt=1,
        ),
    ] = 0.1
    service_days: Annotated[Days, says("How long an advisor serves a customer; then the place is free again.")] = 90
    rest_days: Annotated[
        int, says("How long after a service ended or was declined none is offered again.", ge=0, le=3_650)
    ] = 90
    contact_within_hours: Annotated[
        int,
        says(
            "How soon the first contact must be made; after that the next best customer is offered.",
            ge=1,
            le=8_760,
        ),
    ] = 48
    waiting_days: Annotated[Days, says("How long a customer who passed while no advisor was free waits for one.")] = 7
    waiting_limit: Annotated[int, says("How many may wait in a pool.", ge=0, le=10_000)] = 50
    planning_window_days: Annotated[
        Days,
        says("How far ahead places and new customers are weighed against each other to set the price."),
    ] = 28
    expected_looks: Annotated[
        int,
        says(
            "New customers with an eligible look expected in a planning window, until a pool has seen for itself: it counts like two days.",
            ge=1,
            le=10_000_000,
        ),
    ] = 200
    recent_looks: Annotated[
        int,
        says(
            "The price is a quantile of what so many of the pool's latest customers were worth at their best look.",
            ge=10,
            le=10_000,
        ),
    ] = 400
    rank_by: Annotated[
        Literal["probability", "expected_value"],
        says("What a look is worth: the probability of becoming VIP, or the money expected of the customer."),
    ] = "probability"
    patience: Annotated[
        float,
        says(
            "How much of what waiting for a later, surer look promises is waited for. 0: whoever beats the price is taken at once.",
            ge=0,
            lt=1,
        ),
    ] = 0.85
    recommended_channel: Annotated[Word, says("How the first contact should be made.")] = "email"
    online_channel: Annotated[Word, says("How, with a customer who was seen a moment ago.")] = "chat"
    online_within_minutes: Annotated[int, says("What counts as a moment ago, in minutes.", ge=0, le=1_440)] = 15


class Learning(Struct, frozen=True, kw_only=True):
    """Which model scores, and how often a new version of it is published."""

    champion: Annotated[
        Literal["anchored", "rule", "river"],
        says(
            "`anchored`: starts at the rule, which ranks by first-order value, and departs from it as evidence comes. `river`: River's pipelines. `rule`: the rule alone. Where a model has not learnt enough, or is measurably worse, the rule scores in its place."
        ),
    ] = "anchored"
    challengers: Annotated[
        tuple[Literal["anchored", "rule", "river"], ...],
        says("Models that score every look beside the champion. They decide nothing; scores carry what they say."),
    ] = ("river",)
    promotion: Annotated[
        Literal["by_hand", "by_rule"],
        says(
            "Who makes a challenger champion: an operator (`maitred model promote`), or the learner, once the challenger ranks first looks better beyond doubt (the 95 % interval of the paired difference lies above zero) and second looks not worse."
        ),
    ] = "by_hand"
    promote_after: Annotated[
        int, says("Examples of first looks that a promotion by rule must rest on.", ge=100, le=2_000)
    ] = 1_000
    pin: Annotated[
        str,
        says(
            "The version of the model that scores, whatever the learner publishes: `1841`. Empty: the newest, or the one that `maitred model rollback` went back to.",
            pattern="^[0-9]*$",
        ),
    ] = ""
    labels: Annotated[
        Literal["wait", "early", "head_start"],
        says(
            "When examples teach: `wait`: once the outcome is known. `early`: at the short horizon already, weighted by what is believed. `head_start`: until the first outcomes are there, from whether customers came back. What each is worth: docs/model.md."
        ),
    ] = "wait"
    learn_from_treated: Annotated[
        bool,
        says(
            "Whether customers who were given an advisor teach, too. The service changes what becomes of them; in a replay of customers whom nobody served it changes nothing."
        ),
    ] = False
    drift_action: Annotated[
        Literal["report", "fall_back", "forget"],
        says(
            "What is done when the champion's loss has grown: `report` it only; `fall_back`: the rule scores these looks for a while; `forget`: the model lets go of what it had learnt of them."
        ),
    ] = "report"
    fall_back_examples: Annotated[
        int, says("How many examples of a kind of look that while lasts.", ge=50, le=100_000)
    ] = 500
    burn_in_days: Annotated[
        int,
        says(
            "Warm start: who first bought within so many days of the beginning of a history may be an old customer, and teaches nothing.",
            ge=0,
            le=3_650,
        ),
    ] = 90
    snapshot_every: Annotated[
        int, says("A snapshot is published after every so many examples.", ge=1, le=1_000_000)
    ] = 200


class Logging(Struct, frozen=True, kw_only=True):
    """What the worker says on stderr. Never personal data."""

    level: Annotated[
        Literal["debug", "info", "warning", "error"], says("What is logged: this, and what is graver.")
    ] = "info"
    format: Annotated[
        Literal["json", "console"], says("One JSON object a line for machines, or columns for people.")
    ] = "json"


class Tracing(Struct, frozen=True, kw_only=True):
    """Spans of commits for OpenTelemetry; needs the extra `maitred[tracing]`. Off, it costs nothing."""

    endpoint: Annotated[
        str,
        says(
            "Where spans are sent by OTLP over HTTP: `http://127.0.0.1:4318/v1/traces`. Empty: no tracing.",
            pattern="^(https?://.+)?$",
        ),
    ] = ""
    sample: Annotated[Share, says("The share of commits that is traced.")] = 0.1


class Deliver(Struct, frozen=True, kw_only=True):
    """What `maitred deliver` hands on to files, web servers and other clusters."""

    topics: Annotated[
        tuple[
            Literal["assignments", "current-assignments", "tier-changes", "scores", "examples", "snapshots"],
            ...,
        ],
        says("Which decisions.", min_length=1),
    ] = ("assignments", "tier-changes")
    start: Annotated[
        Literal["earliest", "latest"],
        says(
            "Where a sink begins that has never delivered anything: with the first record that is kept, or with what comes from now on."
        ),
    ] = "earliest"


class Files(Struct, frozen=True, kw_only=True):
    """`maitred deliver files`: when a file is whole. Readers see whole files only."""

    rotate_bytes: Annotated[int, says("At this size.", ge=1_000, le=10**10)] = 64_000_000
    rotate_seconds: Annotated[int, says("Or after this time, however little it holds.", ge=1, le=86_400)] = 300


class Webhook(Struct, frozen=True, kw_only=True):
    """`maitred deliver webhook`: where, and how hard it is tried. Its secrets are in `MAITRED_WEBHOOK_SECRET` alone."""

    url: Annotated[str, says("Where events are posted.", pattern="^(https?://.+)?$")] = ""
    timeout_ms: Annotated[int, says("How long a post may take, answer included.", ge=10, le=600_000)] = 10_000
    in_flight: Annotated[
        int, says("Posts that may be under way at once; of one customer never two.", ge=1, le=1_000)
    ] = 8
    attempts: Annotated[int, says("After so many attempts an event is kept as undelivered.", ge=1, le=100)] = 8
    first_wait_ms: Annotated[
        int, says("How long to wait before the second attempt; then twice as long each time.", ge=1, le=600_000)
    ] = 500
    most_wait_ms: Annotated[
        int, says("The longest such wait, unless the server asks for a longer one.", ge=1, le=3_600_000)
    ] = 60_000
    again_minutes: Annotated[
        int,
        says(
            "How long until an undelivered event is tried again by itself; one that the server refused (4xx) never is.",
            ge=1,
            le=10_080,
        ),
    ] = 60


class Copy(Struct, frozen=True, kw_only=True):
    """`maitred deliver kafka`: the cluster that decisions are copied to."""

    bootstrap: Annotated[str, says("Its brokers. Empty: the same cluster.")] = ""
    prefix: Annotated[
        Name | None, says('What goes before the names of its topics: `"tools"` makes `tools.assignments`.')
    ] = None
    security: Annotated[dict[str, str], says("As `kafka.security`, for that cluster.")] = {}


class Settings(Struct, frozen=True, kw_only=True):
    """Maitred's settings."""

    namespace: Annotated[
        Name,
        says("Goes before the name of every topic, group and Redis key, so that several may share the servers."),
    ] = "maitred"
    time: Annotated[
        Literal["wall", "event"],
        says(
            "`wall`: time moves with the clock, as in production. `event`: with the records alone, for histories. Never changed for a namespace: a worker that is set otherwise than `maitred topics create` was refuses to start."
        ),
    ] = "wall"
    partitions: Annotated[
        int,
        says(
            "Partitions of every topic that is keyed by customer or pool. Fixed for the life of a namespace.",
            ge=1,
            le=4_096,
        ),
    ] = 4
    kafka: Kafka = Kafka()
    redis: Redis = Redis()
    registry: Registry = Registry()
    worker: Worker = Worker()
    batch: Batch = Batch()
    money: Money = Money()
    markets: Markets = Markets()
    scoring: Scoring = Scoring()
    tiers: Annotated[
        tuple[Tier, ...],
        says("Loyalty tiers, from the lowest to the highest; a list of tables.", max_length=20),
    ] = (
        Tier(name="silver", qualifying_minor=50_000),
        Tier(name="gold", qualifying_minor=150_000),
        Tier(name="platinum", qualifying_minor=500_000, orders=3),
    )
    tier_changes: TierChanges = TierChanges()
    assignment: Assignment = Assignment()
    learning: Learning = Learning()
    logging: Logging = Logging()
    tracing: Tracing = Tracing()
    deliver: Deliver = Deliver()
    files: Files = Files()
    webhook: Webhook = Webhook()
    copy: Copy = Copy()
