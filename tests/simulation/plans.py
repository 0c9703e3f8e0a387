"""What is simulated: the diary alone, or the three real processors together."""

from collections.abc import Callable, Iterable, Mapping
from random import Random

from features.store import Store
from online_models.model import Model, load_model
from schemas.events import BatchCommitted, SnapshotPublished
from streams.assembly import LEARNER_PARTITION
from streams.policies import assignment_policy, learn_policy, scoring_policy
from streams.processors import Assigner, Learner, Processor, Scorer
from streams.settings import Settings
from streams.settings.keys import Assignment, Learning, Markets, Money, Scoring, Tier
from tests.simulation.diary import Diary
from tests.simulation.parts import Plan, Role
from tests.simulation.shop import POOLS

SHOP_TOPICS = ("orders", "returns", "browse", "privacy", "roster", "contacts")


def diary_plan(seed: int) -> Plan:
    rng = Random(seed)
    partitions = rng.choice((1, 2, 3))
    role = Role("scorer", Diary.sources, partitions, lambda _: Diary(partitions), chokes=True)
    return Plan(Settings(partitions=partitions), (role,), Diary.sources, rng.choice((30, 60, 100)))


def maitred_plan(seed: int) -> Plan:
    """Everything happens soon and often: few places, small amounts, short horizons."""
    rng = Random(seed)
    settings = Settings(
        partitions=rng.choice((1, 2, 3)),
        money=Money(base="EUR", rates={"USD": 0.9}),
        markets=Markets(pools=POOLS),
        scoring=Scoring(horizon_days=35, outcomes_days=(10, 35), looks_until_days=30, vip_amount_minor=90_000),
        tiers=(Tier(name="silver", qualifying_minor=100_000), Tier(name="gold", qualifying_minor=400_000, orders=2)),
        assignment=Assignment(
            consent=rng.choice(("granted", "not_withdrawn")),
            control_share=0.3,
            contact_within_hours=rng.choice((48, 20 * 24)),
            service_days=rng.choice((3, 20)),
            rest_days=rng.choice((0, 5)),
            planning_window_days=7,
            expected_looks=rng.choice((1, 4)),
            recent_looks=10,
            waiting_limit=2,
        ),
        learning=Learning(
            champion=rng.choice(("rule", "river", "anchored")),
            snapshot_every=rng.choice((1, 4)),
            challengers=rng.choice(((), ("river",), ("rule", "anchored"))),
        ),
    )
    return Plan(settings, maitred_roles(settings), SHOP_TOPICS, rng.choice((30, 60, 100)))


def maitred_roles(settings: Settings) -> tuple[Role, ...]:
    """The processors as `policies.processor_of` makes them, on the world's stores."""
    champion = settings.learning.champion

    def scorer(stores: Mapping[str, Store]) -> Scorer:
        learned = stores["learner"]
        return Scorer(
            scoring_policy(settings), champion, lambda: learned.read({"snapshot": LEARNER_PARTITION})["snapshot"]
        )

    def assigner(_: Mapping[str, Store]) -> Assigner:
        return Assigner(assignment_policy(settings), settings.partitions)

    def learner(_: Mapping[str, Store]) -> Learner:
        return Learner(learn_policy(settings))

    return (
        Role("scorer", Scorer.sources, settings.partitions, scorer, lambda events: _models(champion, events)),
        Role("assigner", Assigner.sources, settings.partitions, assigner),
        Role("learner", Learner.sources, 1, learner),
    )


def _models(champion: str, events: Callable[[str], Iterable[object]]) -> Callable[[Processor, BatchCommitted], None]:
    """Gives a scorer the model that an entry of the batch log names."""
    by_version = models_by_version(champion, events("snapshots"))

    def take(scorer: Processor, entry: BatchCommitted) -> None:
        assert isinstance(scorer, Scorer)
        scorer.model = by_version[entry.model_version]

    return take


def models_by_version(champion: str, events: Iterable[object]) -> dict[str, Model]:
    """The cold start, and what each of these snapshots scores with."""
    made = [load_model(None, champion)]
    made += [load_model(event.payload, champion) for event in events if isinstance(event, SnapshotPublished)]
    return {model.version: model for model in made}
