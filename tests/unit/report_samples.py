"""A made-up replay for the report's tests: small, of every kind of figure, with numbers that hang together."""

from collections.abc import Sequence
from math import sin

import pyarrow as pa

from streams.replay.answer import answer
from streams.replay.results import (
    Calibration,
    CalibrationBin,
    Capacity,
    CurvePoint,
    DataQuality,
    DaysToVip,
    Difference,
    Figures,
    Headline,
    ReasonWeight,
    Results,
    ScoreBin,
    SnapshotFacts,
    Source,
    VariantFacts,
    Week,
)
from streams.replay.run import (
    ASSIGNMENTS,
    EXAMPLES,
    LOOKS,
    REASONS,
    ROSTER,
    SNAPSHOTS,
    TIER_CHANGES,
    VIPS,
    WEEKS,
    Run,
    batch_of,
)

DAY_MS = 86_400_000
START_MS = 1_259_539_200_000  # 2009-11-30, a Monday
QUARTERS = ("2010-Q1", "2010-Q2", "2010-Q3", "2010-Q4", "2011-Q1")
MARKETS = ("United Kingdom", "Germany", "France")
SKILL = {"model": 0.735, "spend": 0.721, "rule": 0.729, "logistic": 0.71, "lightgbm": 0.66, "random": 0.5}
LOOKS_AT = {"first": 0.0, "day_7": 0.05, "day_14": 0.09, "day_30": 0.13, "order": 0.08}
MAIN = "as configured"
CUSTOMER = "customer-4711"


def figures(scorer: str, look: str, outcome: str, part: str, name: str = "", wave: float = 0.0) -> Figures:
    learns = LOOKS_AT[look] if scorer in ("model", "rule") else 0.0
    auc = SKILL[scorer] + learns - (0.04 if outcome == "after_look" else 0.0) + wave
    positives = 20 if name else 103
    return Figures(
        variant=MAIN,
        scorer=scorer,
        look=look,
        outcome=outcome,
        part=part,
        name=name,
        examples=positives * 12,
        positives=positives,
        roc_auc=auc,
        roc_auc_ci95=(auc - 0.05, min(1.0, auc + 0.05)),
        average_precision=auc / 3,
        average_precision_ci95=(auc / 3 - 0.04, auc / 3 + 0.05),
        capture_at_10=2 * auc - 1.13 if auc > 0.6 else 0.1,
        capture_at_10_ci95=(max(0.0, 2 * auc - 1.2), 2 * auc - 1.05) if auc > 0.6 else (0.05, 0.15),
        value_gini=auc - 0.2,
        value_gini_ci95=(auc - 0.3, auc - 0.1),
        value_at_10=0.41,
    )


def difference(one: Figures, other: Figures, measure: str = "roc_auc", half: float = 0.02) -> Difference:
    value = getattr(one, measure) - getattr(other, measure)
    return Difference(
        variant=one.variant,
        scorer=one.scorer,
        than_variant=other.variant,
        than_scorer=other.scorer,
        look=one.look,
        outcome=one.outcome,
        part=one.part,
        name=one.name,
        measure=measure,  # type: ignore[arg-type]  # one of the four
        examples=one.examples,
        difference=value,
        ci95=(value - half, value + half),
    )


def sample_results() -> Results:
    found: list[Figures] = []
    for scorer in SKILL:
        found += [figures(scorer, look, outcome, "all") for look in LOOKS_AT for outcome in ("whole", "after_look")]
        found += [figures(scorer, "first", "whole", part) for part in ("last_40", "rolling_origin")]
        found += [figures(scorer, "first", "whole", "quarter", q, 0.02 * sin(3 * i)) for i, q in enumerate(QUARTERS)]
        found += [figures(scorer, "first", "whole", "market", m, 0.03 * sin(2 * i)) for i, m in enumerate(MARKETS)]
    by = {(f.scorer, f.look, f.outcome, f.part, f.name): f for f in found}
    differences = [
        difference(
            f, by["spend", f.look, f.outcome, f.part, f.name], measure, 0.05 if measure == "capture_at_10" else 0.02
        )
        for f in found
        for measure in ("roc_auc", "capture_at_10")
        if f.scorer not in ("spend", "random")
    ]
    shares = [n / 50 for n in range(51)]
    results = Results(
        maitred="0.1.0",
        events=805_620,
        first_purchases=4_260,
        examples=1_236,
        positives=103,
        roc_auc=0.735,
        average_precision=0.245,
        capture_at_10=0.34,
        baseline=Headline(examples=1_236, positives=103, roc_auc=0.721, average_precision=0.240, capture_at_10=0.312),
        difference_ci95=(-0.006, 0.034),
        wall_s=21.4,
        outputs_sha256="ab" * 32,
        source=Source(
            name="online-retail-ii",
            title="Online Retail II",
            lacks=("browse events", "consent", "the order that a return belongs to"),
            ordering="by event time, topic, partition and offset, the watermark following",
            fingerprint="cd" * 8,
        ),
        base_currency="GBP",
        outcome="net spend of 1,199 GBP or more in the 180 days after the first order, first order left out",
        settings={"scoring": {"horizon_days": 180}, "learning": {"prior": "rule"}},
        seed=7,
        bootstrap_draws=1_000,
        quality=DataQuality(
            events={"OrderPlaced": 40_100, "ItemsReturned": 9_200},
            rejected={"impossible value": 12},
            guests=3_710,
            duplicates=4,
            unmatched_returns=810,
            left_out={"no_customer": 243_007, "price_0": 6_024},
            others={"looks": 9_000},
            tier_changes={"silver reached": 910, "gold near": 120},
            first_event_ms=START_MS,
            last_event_ms=START_MS + 700 * DAY_MS,
        ),
        variants=(
            VariantFacts(
                name=MAIN,
                examples=1_236,
                positives=103,
                looks=9_000,
                assigned=410,
                withheld=45,
                snapshots=12,
                outputs_sha256="ab" * 32,
            ),
            VariantFacts(
                name="no second looks", changes={"scoring.second_looks": []}, examples=1_236, positives=103, looks=4_260
            ),
        ),
        figures=tuple(found),
        curves=tuple(
            CurvePoint(
                variant=MAIN,
                scorer=scorer,
                look="first",
                share=x,
                gain=x ** (1.6 - skill),
                lift=x ** (0.6 - skill) if x else 1.0,
                value=x ** (1.5 - skill),
            )
            for scorer, skill in SKILL.items()
            for x in shares
        ),
        calibration=tuple(
            Calibration(
                variant=MAIN,
                look="first",
                period=period,
                examples=250,
                said=0.09 - 0.004 * i,
                came_true=0.1 - 0.006 * i,
                error=0.02,
                slope=0.93,
                brier=0.07,
            )
            for i, period in enumerate((*QUARTERS, "all"))
        ),
        calibration_bins=tuple(
            CalibrationBin(
                variant=MAIN,
                look="first",
                low=i / 20,
                high=(i + 1) / 20,
                examples=300 - 40 * i,
                said=i / 20 + 0.02,
                came_true=i / 22 + 0.02,
                ci95=(max(0.0, i / 22), i / 22 + 0.05),
            )
            for i in range(7)
        ),
        scores=(ScoreBin(variant=MAIN, look="first", period="all", low=0.0, high=0.1, looks=900),),
        weeks=tuple(
            Week(
                variant=MAIN,
                week_ms=START_MS + week * 7 * DAY_MS,
                pool=pool,
                capacity=60,
                served=min(60, 2 * week),
                waiting=max(0, week - 30) // 3,
                assigned=4,
                withheld=week % 2,
                ended=1,
                first_purchases=40,
                looks=90,
            )
            for week in range(60)
            for pool in ("uk", "eu")
        ),
        days_to_vip=tuple(
            DaysToVip(
                variant=MAIN,
                arm=arm,
                days=day,
                customers=300,
                share=day / 180 * top,
                ci95=(day / 200 * top, day / 150 * top),
            )
            for arm, top in (("treatment", 0.3), ("control", 0.28), ("none", 0.05))
            for day in range(0, 181, 10)
        ),
        reasons=tuple(
            ReasonWeight(
                variant=MAIN,
                look=look,
                feature=feature,
                period=period,
                looks=looks,
                mean_contribution=size / 2,
                mean_size=size,
            )
            for look in ("first", "day_30")
            for period in ("all", *QUARTERS)
            for feature, looks, size in (
                ("log_first_spend", 4_200, 0.8),
                ("log_skus", 4_100, 0.3),
                ("basket_value", 2_000, 0.2),
            )
        ),
        snapshots=(
            SnapshotFacts(variant=MAIN, at_ms=START_MS + 200 * DAY_MS, version="20", examples_seen=20, bytes=4_000),
        ),
        capacity=tuple(
            Capacity(
                variant=MAIN,
                scenario=scenario,
                policy=policy,
                second_looks=second,
                places=40,
                assigned=200,
                captured_minor=90_000_000,
                vips=60,
                over_optimum=share,
                value_over_optimum=share - 0.05,
            )
            for scenario in ("scarce", "balanced", "ample")
            for second in (False, True)
            for policy, share in (
                ("maitred", 0.96),
                ("first_come", 0.7),
                ("fixed_threshold", 0.8),
                ("random", 0.5),
                ("optimum", 1.0),
            )
        ),
        differences=(
            *differences,
            Difference(
                variant="no second looks",
                scorer="model",
                than_variant=MAIN,
                than_scorer="model",
                look="first",
                outcome="whole",
                part="all",
                examples=1_236,
                difference=0.0,
                ci95=(-0.001, 0.001),
            ),
        ),
    )
    results.answer = answer(results)
    return results


def results_without_outcomes() -> Results:
    """As a month of a shop gives them: looks, but nothing came due."""
    results = Results(
        maitred="0.1.0",
        events=1_000,
        first_purchases=250,
        outputs_sha256="ef" * 32,
        source=Source(name="rees46", title="REES46", lacks=("months of customers",)),
        quality=DataQuality(
            events={"PageBrowsed": 900, "OrderPlaced": 100},
            first_event_ms=START_MS,
            last_event_ms=START_MS + 30 * DAY_MS,
        ),
        variants=(VariantFacts(name=MAIN, looks=250),),
    )
    results.answer = answer(results)
    return results


def sample_run() -> Run:
    looks = [
        (
            f"look-{n}",
            START_MS + n * DAY_MS,
            f"{CUSTOMER}-{n}",
            MARKETS[n % 3],
            "uk",
            tuple(LOOKS_AT)[n % 5],
            1,
            0.05 + (n % 17) / 60,
            10_000,
            0.1,
            5_000,
            "20",
            False,
            "granted",
        )
        for n in range(400)
    ]
    assignments = [
        (
            START_MS + n * DAY_MS,
            f"{CUSTOMER}-{n}",
            "ada",
            "uk",
            "treatment",
            "look",
            "first",
            f"look-{n}",
            0.3,
            0.2,
            False,
            f"a-{n}",
            None,
            None,
        )
        for n in range(0, 400, 10)
    ]
    vips = [
        (f"{CUSTOMER}-{n}", MARKETS[0], START_MS + n * DAY_MS, START_MS + (n + 50) * DAY_MS, 50.0, "treatment")
        for n in range(0, 400, 20)
    ]
    return Run(
        variant=MAIN,
        looks=_table(LOOKS, looks),
        examples=EXAMPLES.empty_table(),
        assignments=_table(ASSIGNMENTS, assignments),
        weeks=WEEKS.empty_table(),
        roster=ROSTER.empty_table(),
        snapshots=SNAPSHOTS.empty_table(),
        reasons=REASONS.empty_table(),
        tier_changes=TIER_CHANGES.empty_table(),
        vips=_table(VIPS, vips),
        horizon_days=180,
        from_ms=START_MS,
        end_ms=START_MS + 700 * DAY_MS,
        counts={},
        notes=(),
        outputs_sha256="ab" * 32,
    )


def _table(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    return pa.Table.from_batches([batch_of(schema, rows)], schema=schema)
