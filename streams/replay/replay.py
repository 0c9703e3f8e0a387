"""A whole replay: fold, play every variant, judge, and put it all into `Results`.

    replayed = replay(Plan(source=..., settings=..., variants=..., work_dir=...))
    replayed.results, replayed.runs

There is no producer here, and no way to one: what is decided goes into tables. Whoever wants them on topics publishes them.
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

import msgspec
import pyarrow.parquet as pq
from msgspec import Struct
from msgspec.structs import replace

from schemas.events import ConsentChanged
from streams.policies import assignment_policy, scoring_policy
from streams.replay import evidence
from streams.replay.answer import answer
from streams.replay.baselines import ALL, check, with_baselines
from streams.replay.bootstrap import DRAWS, SEED, Population
from streams.replay.capacity import SCENARIOS
from streams.replay.evaluation import Evaluation, between_all
from streams.replay.fold import Folded, fold
from streams.replay.jobs import BaselinesJob, CapacityJob, Job, PlayJob, name_of, run_jobs
from streams.replay.lacking import lacking
from streams.replay.parts import frame_of
from streams.replay.results import (
    MODEL,
    DataQuality,
    Figures,
    Headline,
    Results,
    Source,
    Stages,
    VariantFacts,
)
from streams.replay.rows import Source as RowSource
from streams.replay.run import Run, read_run
from streams.replay.variants import Variant
from streams.scoring.policy import Policy
from streams.settings import DECIDING, Settings
from streams.settings.currencies import decimals

Engine = Literal["local", "ray"]
Progress = Callable[[str, int, int | None], None]  # stage, done, of how many if that is known
Folding = Callable[[Policy, Path, Progress], Folded]

BY_EVENT_TIME: Final = (
    "events were applied in the order of (event time, topic, partition, offset), the watermark following them, and at the end "
    "all happened that was due by the last event; production may have met them in another order"
)
NO_CONSENT: Final = (
    "the log knows no consent: who did not refuse counts as willing (set assignment.consent in a variant to ask for it)"
)


class Plan(Struct, frozen=True, kw_only=True):
    source: RowSource
    variants: tuple[Variant, ...]
    work_dir: Path
    processes: int = 1
    engine: Engine = "local"
    ray_address: str | None = None
    baselines: tuple[str, ...] = ALL
    seed: int = SEED
    draws: int = DRAWS
    title: str = ""
    licence: str = ""
    notes: tuple[str, ...] = ()  # said before our own
    with_capacity: bool = True
    folding: Folding | None = None  # another way to moments than folding the source; its order says `ordering`
    ordering: str = BY_EVENT_TIME

    @property
    def settings(self) -> Settings:
        return self.variants[0].settings


class Replayed(Struct, frozen=True, kw_only=True):
    results: Results
    runs: tuple[Run, ...]


def replay(
    plan: Plan, progress: Progress = lambda _stage, _done, _total: None, started_s: float | None = None
) -> Replayed:
    """Everything. `started_s` is when the clock began (by `perf_counter`), if before this call."""
    began = perf_counter() if started_s is None else started_s
    plan = replace(plan, baselines=check(plan.baselines))
    at = perf_counter()
    folds = _folds(plan, progress)
    plan = _with_consent_assumed(plan, folds)
    fold_s = perf_counter() - at
    at = perf_counter()
    runs = _runs(plan, folds, progress)
    played_s = perf_counter() - at
    at = perf_counter()
    folded = folds[0]
    results = _results(plan, folded, runs, progress)
    results.stages = Stages(
        fold_s=round(fold_s, 3),
        sequel_s=round(played_s, 3),
        measures_s=round(perf_counter() - at, 3),
        total_s=round(perf_counter() - began, 3),
        fold_was_reused=all(one.was_reused for one in folds),
    )
    results.wall_s = round(perf_counter() - began, 3)
    results.answer = answer(results)
    return Replayed(results=results, runs=runs)


# ---- folding and playing -------------------------------------------------------------------------------------------


def _folds(plan: Plan, progress: Progress) -> tuple[Folded, ...]:
    """Of each variant its fold; variants that can share one do."""
    folds: dict[str, Folded] = {}
    for variant in plan.variants:
        key = variant.fold_key()
        if key not in folds:
            folds[key] = _fold(plan, variant.fold_policy(), progress)
    return tuple(folds[variant.fold_key()] for variant in plan.variants)


def _fold(plan: Plan, policy: Policy, progress: Progress) -> Folded:
    if plan.folding is not None:
        return plan.folding(policy, plan.work_dir / f"recorded-{name_of(policy)}", progress)
    return fold(
        plan.source,
        plan.work_dir,
        policy,
        processes=plan.processes,
        engine=plan.engine,
        address=plan.ray_address,
        progress=progress,
    )


def _with_consent_assumed(plan: Plan, folds: tuple[Folded, ...]) -> Plan:
    """Where a log knows no consent, and nobody set that it must be granted, who did not refuse counts: said aloud."""
    asks = [v.settings.assignment.consent == "granted" and "assignment" not in v.changes for v in plan.variants]
    if not any(asks) or any(folded.counts.get(ConsentChanged.__name__) for folded in folds):
        return plan
    assumed = tuple(
        replace(v, settings=replace(v.settings, assignment=replace(v.settings.assignment, consent="not_withdrawn")))
        if asked
        else v
        for v, asked in zip(plan.variants, asks, strict=True)
    )
    return replace(plan, variants=assumed, notes=(*plan.notes, NO_CONSENT))


def _runs(plan: Plan, folds: tuple[Folded, ...], progress: Progress) -> tuple[Run, ...]:
    kept = plan.work_dir / "runs"
    both = tuple(zip(plan.variants, folds, strict=True))
    plays = [_play_job(folded, variant, kept) for variant, folded in both]
    judged = [_baselines_job(plan, folded, variant, kept) for variant, folded in both]
    everything: list[Job] = [*plays, *judged]
    jobs = {job.folder: job for job in everything}
    passed, total = 0, sum(job.moments for job in jobs.values())

    def tick(moments: int) -> None:
        nonlocal passed
        passed += moments
        progress("play", passed, total)

    progress("play", 0, total)
    run_jobs(tuple(jobs.values()), plan.processes, tick)
    progress("play", total, total)
    runs = []
    for variant, played, beside in zip(plan.variants, plays, judged, strict=True):
        scores, run = pq.read_table(beside.folder / "baselines.parquet"), read_run(played.folder)
        runs.append(replace(run, variant=variant.name, examples=with_baselines(run.examples, scores)))
    return tuple(runs)


def _play_job(folded: Folded, variant: Variant, kept: Path) -> PlayJob:
    deciding = {name: getattr(variant.settings, name) for name in DECIDING}
    assumed = msgspec.to_builtins(variant.assumed) | {"name": "", "description": ""}
    facts = folded.fingerprint, folded.moment_files, variant.settings.partitions, deciding, assumed
    return PlayJob(folded, variant, kept / f"play-{name_of(*facts)}")


def _capacity_jobs(plan: Plan, folded: Folded) -> list[CapacityJob]:
    """Of the first variant, scenario by scenario."""
    kept = plan.work_dir / "runs"
    played, policy = _play_job(folded, plan.variants[0], kept).folder, assignment_policy(plan.settings)
    return [
        CapacityJob(played, policy, scenario, kept / f"capacity-{name_of(played.name, policy, scenario)}")
        for scenario in SCENARIOS
    ]


def _baselines_job(plan: Plan, folded: Folded, variant: Variant, kept: Path) -> BaselinesJob:
    horizon_days = variant.fold_policy().horizon_days
    facts = folded.fingerprint, folded.moment_files, horizon_days, plan.baselines, plan.seed
    return BaselinesJob(folded, horizon_days, plan.baselines, plan.seed, kept / f"baselines-{name_of(*facts)}")


# ---- results -------------------------------------------------------------------------------------------------------


def _results(plan: Plan, folded: Folded, runs: tuple[Run, ...], progress: Progress) -> Results:
    steps = len(runs) + 1
    progress("judge", 0, steps)
    everybody = (customer for run in runs for customer in run.examples["customer_id"].to_pylist())
    population = Population(everybody, plan.draws, plan.seed)
    evaluations = [Evaluation(frame_of(run, population), population, plan.baselines) for run in runs]
    results = _facts(plan, folded, runs)
    results.bootstrap_draws = population.draws

    def judge() -> None:
        for number, (run, evaluation) in enumerate(zip(runs, evaluations, strict=True), 1):
            _add_evidence(results, run, evaluation)
            progress("judge", number, steps)
        results.differences += tuple(between_all(evaluations))

    capacity = _capacity_jobs(plan, folded) if plan.with_capacity else []
    run_jobs(capacity, plan.processes, lambda _moments: None, judge)
    found = (row for job in capacity for row in job.found())
    results.capacity = tuple(replace(row, variant=runs[0].variant) for row in found)
    _headlines(results)
    results.notes += tuple(_silences(results))
    progress("judge", steps, steps)
    return results


def _facts(plan: Plan, folded: Folded, runs: tuple[Run, ...]) -> Results:
    settings, policy = plan.settings, plan.variants[0].fold_policy()
    together = "\n".join(f"{run.variant} {run.outputs_sha256}" for run in runs)
    return Results(
        maitred=version("maitred"),
        events=folded.events,
        first_purchases=sum(1 for look in runs[0].looks["look"].to_pylist() if look == "first"),
        outputs_sha256=runs[0].outputs_sha256 if len(runs) == 1 else sha256(together.encode()).hexdigest(),
        source=Source(
            name=folded.source,
            title=plan.title,
            lacks=folded.lacks or lacking(folded.counts),
            ordering=plan.ordering,
            licence=plan.licence,
            fingerprint=folded.fingerprint,
        ),
        base_currency=settings.money.base,
        horizon_days=policy.horizon_days,
        outcome=outcome_of(settings),
        settings={name: msgspec.to_builtins(getattr(settings, name)) for name in DECIDING},
        seed=plan.seed,
        processes=plan.processes,
        engine=plan.engine,
        quality=quality_of(folded),
        notes=(*plan.notes, *dict.fromkeys(note for run in runs for note in run.notes)),
        baselines=plan.baselines,
        variants=tuple(_variant(variant, run) for variant, run in zip(plan.variants, runs, strict=True)),
    )


def outcome_of(settings: Settings) -> str:
    """What makes a VIP, in words."""
    scoring = settings.scoring
    days = scoring.horizon_days
    if scoring.vip_tier:
        return f"the tier {scoring.vip_tier} reached within {days} days after the first order"
    policy = scoring_policy(settings)
    digits = decimals(settings.money.base)
    amount = f"{(policy.vip_amount_minor or 0) / 10**digits:,.{digits}f} {settings.money.base}"
    return f"at least {amount} net spend within {days} days after the first order"


def quality_of(folded: Folded) -> DataQuality:
    """What the log held, from the fold's counts: `rejected <class>`, `left_out <reason>`, `tier <name>
    <change>`, kinds of events, and others.
    """
    counts = dict(folded.counts)
    events = {name: counts.pop(name) for name in list(counts) if name[:1].isupper()}
    rejected, left_out, tiers = (_taken(counts, prefix) for prefix in ("rejected ", "left_out ", "tier "))
    return DataQuality(
        events=events,
        rejected=rejected,
        left_out=left_out,
        guests=counts.pop("guests", 0),
        duplicates=counts.pop("duplicates", 0),
        unmatched_returns=counts.pop("unmatched_returns", 0),
        late=counts.pop("late", 0),
        tier_changes=tiers,
        first_event_ms=folded.start_ms,
        last_event_ms=folded.end_ms,
        others=counts,
    )


def _taken(counts: dict[str, int], prefix: str) -> dict[str, int]:
    """Those whose names begin so, without it; they are no longer among `counts`."""
    return {name.removeprefix(prefix): counts.pop(name) for name in list(counts) if name.startswith(prefix)}


def _variant(variant: Variant, run: Run) -> VariantFacts:
    columns = (run.examples[name].to_pylist() for name in ("look", "horizon_days", "is_vip"))
    outcomes = [
        is_vip for look, days, is_vip in zip(*columns, strict=True) if (look, days) == ("first", run.horizon_days)
    ]
    withheld = sum(1 for is_withheld in run.assignments["withheld"].to_pylist() if is_withheld)
    return VariantFacts(
        name=variant.name,
        description=variant.assumed.description,
        changes=dict(variant.changes),
        champion=variant.settings.learning.champion,
        horizon_days=run.horizon_days,
        outcome=outcome_of(variant.settings),
        examples=len(outcomes),
        positives=sum(outcomes),
        looks=run.looks.num_rows,
        assigned=run.assignments.num_rows - withheld,
        withheld=withheld,
        vips_served=len(evidence.lead_days(run)),
        snapshots=run.snapshots.num_rows,
        outputs_sha256=run.outputs_sha256,
        counts=dict(run.counts),
        notes=run.notes,
    )


def _add_evidence(results: Results, run: Run, evaluation: Evaluation) -> None:
    frame = evaluation.frame
    results.figures += tuple(evaluation.figures())
    results.differences += tuple(evaluation.differences())
    results.curves += tuple(evidence.curves(frame, evaluation.scorers))
    results.calibration += tuple(evidence.calibration(frame))
    results.calibration_bins += tuple(evidence.calibration_bins(frame))
    results.scores += tuple(evidence.score_bins(run))
    results.weeks += tuple(evidence.weeks(run))
    results.days_to_vip += tuple(evidence.days_to_vip(run, run.horizon_days))
    results.reasons += tuple(evidence.reasons(run))
    results.snapshots += tuple(evidence.snapshots(run))


# ---- the first lines -----------------------------------------------------------------------------------------------


def _headlines(results: Results) -> None:
    first = results.variants[0].name
    whole = [f for f in results.figures if f.variant == first and f.outcome == "whole"]
    results.looks = {f.look: _headline(f) for f in whole if f.part == "all" and f.scorer == MODEL}
    for figure in whole:
        if figure.look == "first":
            part = f"{figure.part}/{figure.name}" if figure.name else figure.part
            results.evaluations.setdefault(part, {})[figure.scorer] = _headline(figure)
    if (model := results.looks.get("first")) is not None:
        results.examples, results.positives = model.examples, model.positives
        results.roc_auc, results.average_precision = model.roc_auc, model.average_precision
        results.capture_at_10 = model.capture_at_10
    results.baseline = results.evaluations.get("all", {}).get("spend", Headline())
    results.difference_ci95 = next(
        (
            d.ci95
            for d in results.differences
            if (d.variant, d.than_variant, d.than_scorer) == (first, first, "spend")
            and (d.look, d.outcome, d.part, d.measure) == ("first", "whole", "all", "roc_auc")
        ),
        None,
    )


def _headline(figures: Figures) -> Headline:
    return Headline(
        examples=figures.examples,
        positives=figures.positives,
        roc_auc=figures.roc_auc,
        average_precision=figures.average_precision,
        capture_at_10=figures.capture_at_10,
    )


def _silences(results: Results) -> Iterable[str]:
    """What could not be used, and why a number is lacking."""
    if rejected := results.quality.rejected:
        told = ", ".join(f"{count:,} {error}" for error, count in sorted(rejected.items()))
        cure = f"; set money.base, now {results.base_currency}, or a rate" if "wrong_currency" in rejected else ""
        yield f"records that could not be used: {told}{cure}"
    if not results.examples:
        yield (
            f"no outcome was known by the end of the log: it takes {results.horizon_days} days after a first purchase; "
            "nothing could be learnt or measured (a shorter one: --horizon-days)"
        )
    elif not 0 < results.positives < results.examples:
        yield "all outcomes are alike: no ranking can be measured (another amount: scoring.vip_amount_minor)"
