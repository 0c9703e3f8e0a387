"""A made-up replay, to try what is built on one: a `Run` with its tables, and `Results` with all of its parts filled.

Nothing in it was computed by the replay, so figures and tables need not agree with each other.
"""

from math import exp, log
from random import Random

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
    Stages,
    VariantFacts,
    Week,
)
from streams.replay.run import TABLES, Rows, Run

DAY_MS = 86_400_000
START_MS = 1_262_304_000_000  # 2010-01-01
LOOK_DAYS = {"first": 0, "day_7": 7, "day_14": 14, "day_30": 30}
MARKETS = ("United Kingdom", "Germany", "France")
QUARTERS = ("2010-Q1", "2010-Q2", "2010-Q3", "2010-Q4", "2011-Q1", "2011-Q2")
AUC = {"model": 0.735, "spend": 0.721, "rule": 0.729, "logistic": 0.724, "lightgbm": 0.712, "random": 0.501}
LIFT = {"first": 0.0, "day_7": 0.04, "day_14": 0.08, "day_30": 0.12, "order": 0.05, "return": 0.03}


def example_run(customers: int = 400, seed: int = 7, variant: str = "as configured", days: int = 540) -> Run:
    """Customers who come evenly over the time, with four looks each; ten advisors with five places."""
    chance, rows = Random(seed), {name: Rows(schema) for name, schema in TABLES.items()}
    end_ms = START_MS + days * DAY_MS
    for number in range(10):
        rows["roster"].add(START_MS, f"advisor-{number}", "main", "active", 5, 2)
    busy: list[int] = []
    for number in range(customers):
        customer, market = f"c{number:05}", chance.choice(MARKETS)
        first_ms = START_MS + days * DAY_MS * number // customers
        spend, worth = round(exp(chance.gauss(9.5, 0.8))), chance.gauss(0, 1)
        later = round(exp(9 + worth + 0.5 * chance.gauss(0, 1)))
        is_vip, horizon_ms = later > 30_000, first_ms + 180 * DAY_MS
        busy = [until_ms for until_ms in busy if until_ms > first_ms]
        gets = worth + 0.5 * chance.gauss(0, 1) > 1 and len(busy) < 50
        arm = ("control" if chance.random() < 0.1 else "treatment") if gets else "none"
        if gets:
            until_ms, told = first_ms + 90 * DAY_MS, arm == "treatment"
            busy += [until_ms] if told else []
            ended_ms = until_ms if told and until_ms <= end_ms else None
            who, ending = (f"advisor-{number % 10}", "service_ended" if ended_ms else None) if told else (None, None)
            rows["assignments"].add(
                first_ms, customer, who, "main", arm, "look", "first", f"{customer}/first", 0.4, 0.3, not told,
                f"{customer}/a", ended_ms, ending,
            )  # fmt: skip
        if is_vip and first_ms + 60 * DAY_MS < end_ms:
            rows["vips"].add(customer, market, first_ms, first_ms + 60 * DAY_MS, 60.0, arm)
            rows["tier_changes"].add(first_ms + 60 * DAY_MS, customer, market, "reached", "silver", 60_000, 0)
        for place, (look, after) in enumerate(LOOK_DAYS.items()):
            at_ms = first_ms + after * DAY_MS
            if at_ms > end_ms:
                continue
            score = 1 / (1 + exp(2 - (0.6 + 0.02 * after) * worth - 0.5 * chance.gauss(0, 1)))
            facts = (round(score * 100_000), 0.8 * score, spend)
            rows["looks"].add(
                f"{customer}/{look}", at_ms, customer, market, "main", look, place + 1, score, facts[0], facts[1],
                facts[2], "anchored-1@200", False, "granted",
            )  # fmt: skip
            if horizon_ms <= end_ms:
                rows["examples"].add(
                    f"{customer}/{look}", customer, market, "main", look, place + 1, at_ms, first_ms, spend, 180,
                    horizon_ms, later, round(later * (1 - after / 200)), is_vip, arm, score, log(score / (1 - score)), facts[0], facts[1],
                    "anchored-1@200", False, float(spend), 0.9 * score, 0.7 * score, chance.random(),
                )  # fmt: skip
    for week in range(days // 7):
        rows["weeks"].add(START_MS + week * 7 * DAY_MS, "main", 50, min(50, 3 * week), week % 5, 4, 1, 3, 5, 18)
    for number in range(10):
        rows["snapshots"].add(START_MS + (180 + 20 * number) * DAY_MS, str(200 * number), 200 * number, 9_000, "c0ffee")
    for look in LOOK_DAYS:
        for place, feature in enumerate(("log_first_spend", "basket_value", "log_skus", "log_later_net_spend")):
            rows["reasons"].add(look, feature, "2010-Q1", 300 - 50 * place, 0.4 - 0.1 * place, 0.5 - 0.1 * place)
    return Run(
        variant=variant,
        **{name: table.table() for name, table in rows.items()},
        horizon_days=180,
        from_ms=START_MS,
        end_ms=end_ms,
        counts={"examples_learnt": 900},
        notes=("contacts are assumed to be made after 24 hours",),
        outputs_sha256="0" * 64,
    )


def example_results(variants: tuple[str, ...] = ("as configured", "no basket")) -> Results:
    figures = tuple(_figures(variant) for variant in variants)
    return Results(
        maitred="0.1.0",
        events=39_000,
        first_purchases=4_100,
        examples=2_900,
        positives=290,
        roc_auc=0.735,
        average_precision=0.24,
        capture_at_10=0.34,
        baseline=Headline(examples=2_900, positives=290, roc_auc=0.721, average_precision=0.235, capture_at_10=0.33),
        difference_ci95=(0.002, 0.027),
        wall_s=21.4,
        outputs_sha256="ab" * 32,
        source=Source(
            name="made-up",
            title="A made-up shop",
            lacks=("browse events", "consent"),
            ordering="by (event time, topic, partition, offset)",
        ),
        base_currency="GBP",
        outcome="at least 1,199.00 GBP net spend within 180 days after the first order",
        bootstrap_draws=500,
        processes=2,
        quality=DataQuality(
            events={"OrderPlaced": 33_000, "ItemsReturned": 6_000},
            rejected={"invalid": 12, "wrong_currency": 3},
            guests=2_100,
            duplicates=4,
            unmatched_returns=310,
            tier_changes={"silver reached": 900, "gold reached": 300},
            first_event_ms=START_MS,
            last_event_ms=START_MS + 540 * DAY_MS,
        ),
        stages=Stages(fold_s=8.0, sequel_s=7.0, measures_s=2.0, total_s=21.4),
        notes=("no roster is known: one advisor place a week for every 40 first purchases was assumed",),
        looks={look: Headline(examples=2_900, positives=290, roc_auc=0.735 + more) for look, more in LIFT.items()},
        evaluations={"all": {scorer: Headline(examples=2_900, roc_auc=auc) for scorer, auc in AUC.items()}},
        baselines=("spend", "rule", "logistic", "lightgbm", "random"),
        variants=tuple(
            VariantFacts(
                name=name,
                changes={} if number == 0 else {"features_off": ["basket_value"]},
                champion="anchored",
                examples=11_000,
                positives=1_100,
                looks=18_000,
                assigned=420,
                withheld=47,
                snapshots=60,
                outputs_sha256="cd" * 32,
            )
            for number, name in enumerate(variants)
        ),
        figures=tuple(figure for rows in figures for figure in rows),
        differences=tuple(_differences(variants)),
        curves=tuple(
            CurvePoint(
                variant=variant,
                scorer=scorer,
                look=look,
                share=step / 20,
                gain=min(1.0, (step / 20) ** (1.4 - auc)),
                lift=min(1.0, (step / 20) ** (1.4 - auc)) / (step / 20),
                value=min(1.0, (step / 20) ** (1.3 - auc)),
            )
            for variant in variants
            for scorer, auc in AUC.items()
            for look in ("first", "day_30")
            for step in range(1, 21)
        ),
        calibration=tuple(
            Calibration(
                variant=variant,
                look="first",
                period=period,
                examples=480,
                said=0.10,
                came_true=0.09 + 0.005 * number,
                error=0.02,
                slope=0.95,
                intercept=-0.03,
                brier=0.08,
                log_loss=0.29,
            )
            for variant in variants
            for number, period in enumerate(("all", *QUARTERS))
        ),
        calibration_bins=tuple(
            CalibrationBin(
                variant=variant,
                look="first",
                low=0.04 * step,
                high=0.04 * (step + 1),
                examples=290,
                said=0.04 * step + 0.02,
                came_true=0.038 * step + 0.015,
                ci95=(max(0.0, 0.038 * step - 0.015), 0.038 * step + 0.045),
            )
            for variant in variants
            for step in range(10)
        ),
        scores=tuple(
            ScoreBin(
                variant=variant,
                look="first",
                period=period,
                low=0.05 * step,
                high=0.05 * (step + 1),
                looks=max(0, 120 - 9 * step - 3 * number),
            )
            for variant in variants
            for number, period in enumerate(("all", *QUARTERS))
            for step in range(20)
        ),
        weeks=tuple(
            Week(
                variant=variant,
                week_ms=START_MS + week * 7 * DAY_MS,
                pool="main",
                capacity=50,
                served=min(50, 3 * week),
                waiting=week % 5,
                assigned=4,
                withheld=1,
                ended=3,
                first_purchases=40,
                looks=150,
            )
            for variant in variants
            for week in range(77)
        ),
        days_to_vip=tuple(
            DaysToVip(
                variant=variant,
                arm=arm,
                days=days,
                customers=400,
                share=days * rate,
                ci95=(max(0.0, days * rate - 0.02), days * rate + 0.02),
            )
            for variant in variants
            for arm, rate in {"all": 0.0006, "treatment": 0.0022, "control": 0.002, "none": 0.0004}.items()
            for days in range(0, 181, 10)
        ),
        reasons=tuple(
            ReasonWeight(
                variant=variant,
                look=look,
                feature=feature,
                looks=900 - 100 * place,
                mean_contribution=0.3 - 0.08 * place,
                mean_size=0.5 - 0.08 * place,
            )
            for variant in variants
            for look in ("first", "day_30")
            for place, feature in enumerate(("log_first_spend", "basket_value", "log_skus", "log_later_net_spend"))
        ),
        snapshots=tuple(
            SnapshotFacts(
                variant=variant,
                at_ms=START_MS + (40 + 20 * number) * DAY_MS,
                version=str(199 + 200 * number),
                examples_seen=200 * (number + 1),
                bytes=40_000,
            )
            for variant in variants
            for number in range(20)
        ),
        capacity=tuple(
            Capacity(
                variant=variants[0],
                scenario=scenario,
                policy=policy,
                second_looks=second_looks,
                places=places,
                assigned=places - 3,
                captured_minor=round(places * 90_000 * share),
                vips=round(places * 0.4 * share),
                over_optimum=share,
            )
            for scenario, places in {"scarce": 60, "balanced": 300, "ample": 1_200}.items()
            for second_looks in (True, False)
            for policy, share in {"maitred": 0.96, "fixed_threshold": 0.88, "first_come": 0.7, "random": 0.5}.items()
        ),
    )


def _figures(variant: str) -> list[Figures]:
    parts = [("all", ""), ("last_40", ""), ("rolling_origin", "")]
    parts += [("quarter", name) for name in QUARTERS] + [("market", name) for name in MARKETS]
    return [
        Figures(
            variant=variant,
            scorer=scorer,
            look=look,
            outcome=outcome,
            part=part,
            name=name,
            examples=2_900,
            positives=290,
            roc_auc=auc + more,
            roc_auc_ci95=(auc + more - 0.02, auc + more + 0.02),
            average_precision=0.2 + more,
            average_precision_ci95=(0.17 + more, 0.23 + more),
            capture_at_10=0.33 + more,
            capture_at_10_ci95=(0.29 + more, 0.37 + more),
            value_gini=0.4 + more,
            value_gini_ci95=(0.35 + more, 0.45 + more),
            value_at_10=0.3 + more,
        )
        for scorer, auc in AUC.items()
        for look, more in LIFT.items()
        for outcome in ("whole", "after_look")
        for part, name in parts
    ]


def _differences(variants: tuple[str, ...]) -> list[Difference]:
    pairs = [(variant, "model", variant, scorer) for variant in variants for scorer in AUC if scorer != "model"]
    pairs += [(other, "model", variants[0], "model") for other in variants[1:]]
    return [
        Difference(
            variant=variant,
            scorer=scorer,
            than_variant=than_variant,
            than_scorer=than_scorer,
            look=look,
            outcome="whole",
            part=part,
            examples=2_900,
            difference=AUC[scorer] - AUC[than_scorer],
            ci95=(AUC[scorer] - AUC[than_scorer] - 0.012, AUC[scorer] - AUC[than_scorer] + 0.012),
        )
        for variant, scorer, than_variant, than_scorer in pairs
        for look in LIFT
        for part in ("all", "last_40", "rolling_origin")
    ]
