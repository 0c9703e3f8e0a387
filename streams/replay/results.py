"""What a replay found out: what `--json` prints, `results.json` keeps and the report reads.

Numbers that can't be given (a set without outcomes, a class that is lacking) are None, and `notes` says why. Shares and AUCs are
between 0 and 1, times in milliseconds, money in minor units of the base currency. Intervals are 95 %, by bootstrap over customers.

A figure is found by five words: the *variant*, the *scorer* (`model`, or a baseline: `spend`, `rule`, `logistic`, `lightgbm`,
`random`), the *look* (`first`, `day_7` ... , `all`), the *outcome* (`whole`: VIP by the configured outcome; `not_yet_vip`: the
same, of customers who were not VIP already at a second look; `after_look`: the
top tenth by money spent after the look only) and the *part* of the customers (`all`, `last_40`, `rolling_origin`, `quarter`,
`market`; of the last two `name` says which one).
"""

from typing import Final, Literal

from msgspec import Struct, field

FORMAT: Final = 1

Scorer = Literal["model", "spend", "rule", "logistic", "lightgbm", "random"]
Outcome = Literal["whole", "not_yet_vip", "after_look"]
Part = Literal["all", "last_40", "rolling_origin", "quarter", "market"]
Standing = Literal["better", "worse", "not-shown", "unknown"]  # than the baseline, by the interval of the difference
Interval = tuple[float, float]

MODEL: Final = "model"
SCORERS: Final[tuple[Scorer, ...]] = ("model", "spend", "rule", "logistic", "lightgbm", "random")
SCORER_TITLES: Final[dict[str, str]] = {
    "model": "the model",
    "spend": "rank by first-order value",
    "rule": "the fixed rule",
    "logistic": "logistic regression, refitted every 30 days",
    "lightgbm": "LightGBM, refitted every 30 days",
    "random": "at random",
}


class Headline(Struct, frozen=True, kw_only=True):
    """A scorer in three numbers."""

    examples: int = 0
    positives: int = 0
    roc_auc: float | None = None
    average_precision: float | None = None
    capture_at_10: float | None = None  # share of the VIPs in the top-scored tenth


class Figures(Struct, frozen=True, kw_only=True):
    """How well one scorer ranked one part of the customers, at one kind of look, for one outcome."""

    variant: str
    scorer: str
    look: str
    outcome: str
    part: str
    name: str = ""  # of the quarter or market
    examples: int
    positives: int
    roc_auc: float | None
    roc_auc_ci95: Interval | None = None
    average_precision: float | None
    average_precision_ci95: Interval | None = None
    capture_at_10: float | None
    capture_at_10_ci95: Interval | None = None
    value_gini: float | None = None  # normalised Gini of the money: 1 is the perfect order, 0 chance
    value_gini_ci95: Interval | None = None
    value_at_10: float | None = None  # share of the money that the top-scored tenth spent


class Difference(Struct, frozen=True, kw_only=True):
    """One scorer less another, on the very same looks, customers drawn together."""

    variant: str
    scorer: str
    than_variant: str
    than_scorer: str
    look: str
    outcome: str
    part: str
    name: str = ""
    measure: Literal["roc_auc", "average_precision", "capture_at_10", "value_gini"] = "roc_auc"
    examples: int
    difference: float
    ci95: Interval | None


class CurvePoint(Struct, frozen=True, kw_only=True):
    """Of the looks, the best-scored `share`: the share of VIPs (gain) and of the money in them, and how many times chance."""

    variant: str
    scorer: str
    look: str
    share: float
    gain: float
    lift: float
    value: float


class CalibrationBin(Struct, frozen=True, kw_only=True):
    """Looks with like scores: what was said, what came true (with a Wilson interval)."""

    variant: str
    look: str
    low: float
    high: float
    examples: int
    said: float
    came_true: float
    ci95: Interval


class Calibration(Struct, frozen=True, kw_only=True):
    """Whether scores hold as probabilities. Perfect: error 0, slope 1, intercept 0. `period` is a quarter, or `all`."""

    variant: str
    look: str
    period: str
    examples: int
    said: float  # mean score
    came_true: float  # share of VIPs
    error: float  # expected calibration error, ten bins of equal size
    slope: float | None = None
    intercept: float | None = None
    brier: float | None = None
    log_loss: float | None = None


class ScoreBin(Struct, frozen=True, kw_only=True):
    """How many looks of a period had a score within [low, high)."""

    variant: str
    look: str
    period: str  # a quarter, or `all`
    low: float
    high: float
    looks: int


class Week(Struct, frozen=True, kw_only=True):
    """A week of a pool: places against capacity, who waits, what was given."""

    variant: str
    week_ms: int
    pool: str
    capacity: int
    served: int
    waiting: int
    assigned: int
    withheld: int
    ended: int
    first_purchases: int
    looks: int


class DaysToVip(Struct, frozen=True, kw_only=True):
    """Of the customers of an arm, the share that was VIP by so many days after the first purchase (Kaplan-Meier)."""

    variant: str
    arm: str  # treatment, control, none, all
    days: int
    customers: int
    share: float
    ci95: Interval


class ReasonWeight(Struct, frozen=True, kw_only=True):
    """A feature that was named as a reason: by how many looks, how it moved their log-odds on average."""

    variant: str
    look: str
    feature: str
    period: str = "all"  # or a quarter
    looks: int
    mean_contribution: float
    mean_size: float


class SnapshotFacts(Struct, frozen=True, kw_only=True):
    """A model version: when it was published, on how many examples."""

    variant: str
    at_ms: int
    version: str
    examples_seen: int
    bytes: int


class Capacity(Struct, frozen=True, kw_only=True):
    """How much of what could have been captured was: the assigner and simpler policies over the offline optimum."""

    variant: str
    scenario: str  # scarce, balanced, ample, as_configured
    policy: str  # maitred, first_come, fixed_threshold, random, optimum ...
    second_looks: bool
    places: int
    assigned: int
    captured_minor: int
    vips: int
    over_optimum: float | None  # of the score; 1 is the optimum
    value_over_optimum: float | None = None  # of the money that came
    ci95: Interval | None = None


class VariantFacts(Struct, frozen=True, kw_only=True):
    """A variant: what it changes, in words and as data, and what came of it."""

    name: str
    description: str = ""
    changes: dict[str, object] = {}
    champion: str = ""
    horizon_days: int = 180
    outcome: str = ""  # in words
    examples: int = 0  # first looks whose outcome was known by the end of the log
    positives: int = 0
    looks: int = 0  # of all kinds
    assigned: int = 0
    withheld: int = 0
    vips_served: int = 0  # who had their advisor before they became VIP
    snapshots: int = 0
    outputs_sha256: str = ""
    counts: dict[str, int] = {}
    notes: tuple[str, ...] = ()


class DataQuality(Struct, frozen=True, kw_only=True):
    """What the log held: events by kind, and what could not be used."""

    events: dict[str, int] = {}  # by kind
    rejected: dict[str, int] = {}  # by class
    left_out: dict[str, int] = {}  # rows of the source that became no event, by reason
    guests: int = 0
    duplicates: int = 0
    unmatched_returns: int = 0
    late: int = 0
    tier_changes: dict[str, int] = {}  # by tier and change, "gold reached"
    first_event_ms: int | None = None
    last_event_ms: int | None = None
    others: dict[str, int] = {}


class Stages(Struct, frozen=True, kw_only=True):
    """Seconds by stage."""

    fold_s: float = 0.0
    sequel_s: float = 0.0  # variants and baselines, beside each other
    measures_s: float = 0.0
    total_s: float = 0.0
    fold_was_reused: bool = False


class Source(Struct, frozen=True, kw_only=True):
    name: str
    title: str = ""
    lacks: tuple[str, ...] = ()
    ordering: str = ""  # in words: by which order events were applied
    licence: str = ""
    fingerprint: str = ""


class Reach(Struct, frozen=True, kw_only=True):
    """Of one kind of look: how many of the VIPs stood in the best-scored tenth of the customers looked at."""

    look: str
    part: str
    customers: int
    top: int  # a tenth of them
    vips: int
    found: int  # by the model
    found_by_baseline: int
    more: int  # found by the model, less found by the baseline
    more_ci95: Interval | None
    standing: Standing


class Answer(Struct, frozen=True, kw_only=True):
    """In one sentence, with the counts that it is made of."""

    standing: Standing
    sentence: str
    first: Reach | None
    later: Reach | None  # the latest look that was timed


class Results(Struct, kw_only=True):
    """Everything. The first lines are the answer: of the first variant, first looks, the main outcome, all customers."""

    format: int = FORMAT
    maitred: str = ""  # its version
    events: int = 0
    first_purchases: int = 0  # that were scored
    examples: int = 0  # first looks whose outcome was known by the end of the log
    positives: int = 0
    roc_auc: float | None = None
    average_precision: float | None = None
    capture_at_10: float | None = None
    baseline: Headline = Headline()  # rank by first-order value, on the same looks
    difference_ci95: Interval | None = None  # of the ROC AUC, model less baseline
    wall_s: float = 0.0
    outputs_sha256: str = ""  # over the decisions of all variants

    answer: Answer | None = None  # `streams.replay.answer.answer` gives it, when all else is known

    source: Source = Source(name="")
    base_currency: str = "EUR"
    horizon_days: int = 180
    outcome: str = ""
    settings: dict[str, object] = {}  # what decided: scoring, tiers, assignment, learning
    seed: int = 0
    bootstrap_draws: int = 0
    processes: int = 1
    engine: str = "local"
    quality: DataQuality = DataQuality()
    stages: Stages = Stages()
    notes: tuple[str, ...] = ()

    looks: dict[str, Headline] = {}  # by kind of look: first variant, model, whole outcome, all
    evaluations: dict[str, dict[str, Headline]] = {}  # part (or part/name) -> scorer: first variant, first look, whole
    baselines: tuple[str, ...] = ()
    variants: tuple[VariantFacts, ...] = ()

    figures: tuple[Figures, ...] = ()
    differences: tuple[Difference, ...] = ()
    curves: tuple[CurvePoint, ...] = ()
    calibration: tuple[Calibration, ...] = ()
    calibration_bins: tuple[CalibrationBin, ...] = ()
    scores: tuple[ScoreBin, ...] = ()
    weeks: tuple[Week, ...] = ()
    days_to_vip: tuple[DaysToVip, ...] = ()
    reasons: tuple[ReasonWeight, ...] = ()
    snapshots: tuple[SnapshotFacts, ...] = ()
    capacity: tuple[Capacity, ...] = field(default_factory=tuple)

    def find(
        self, scorer: str = MODEL, look: str = "first", outcome: str = "whole", part: str = "all", variant: str = ""
    ) -> tuple[Figures, ...]:
        """The figures of one scorer, in their order; of the first variant where none is named."""
        wanted = variant or (self.variants[0].name if self.variants else "")
        asked = wanted, scorer, look, outcome, part
        return tuple(f for f in self.figures if (f.variant, f.scorer, f.look, f.outcome, f.part) == asked)
