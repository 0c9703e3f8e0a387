"""The demo without a terminal: plain lines while it runs, the summary at its end, and the JSON object for programs."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from time import perf_counter

from online_models.validation import Comparison
from streams.demo.scene import Scene
from streams.demo.words import UP, are_few, many, money, percent, told_look, told_reasons, told_reject, told_tier

LINE_S = 1.0
Row = tuple[str, str, str]  # what, how much, and more about it

NEXT = (
    ("maitred demo --seed 2 --seconds 30", "another shop, faster"),
    ("maitred simulate --help", "such a shop for your own topics"),
    ("docs/publishing.md", "orders of your own"),
    ("docs/subscribing.md", "assignments in your own tool"),
)


class PlainLines:
    """A line a second, and one more for the first of everything worth telling."""

    def __init__(self, put: Callable[[str], object], width: int | None = None) -> None:
        self._put, self._width = put, width  # None: of a file, where there is room for everything
        self._told: set[str] = set()
        self._next_s = 0.0

    def show(self, scene: Scene) -> None:
        for what, told in _notable(scene):
            if what not in self._told:
                self._told.add(what)
                self._put(f"{'':>9}{told}")
        now_s = perf_counter()
        if now_s >= self._next_s:
            self._next_s = now_s + LINE_S
            self._put(_line(scene, self._width))


def _line(scene: Scene, width: int | None) -> str:
    """As many of the numbers as there is room for."""
    if not scene.glance.counts.get("scores"):
        return f"{scene.elapsed_s:5.1f} s  {scene.phase}"
    counts = scene.glance.counts
    numbers = {
        "events": scene.events,
        "first purchases": counts.get("first_purchases", 0),
        "second looks": counts.get("second_looks", 0),
        "assigned": counts.get("assignments", 0),
        "control": counts.get("control", 0),
        "tier changes": counts.get("tier_changes", 0),
        "rejected": counts.get("rejected", 0),
    }
    line = f"{scene.elapsed_s:5.1f} s  day {scene.day:>3}"
    for name, number in numbers.items():
        longer = f"{line}  {number:,} {name}"
        if width is not None and len(longer) > width:
            break
        line = longer
    return line


def _notable(scene: Scene) -> Iterator[tuple[str, str]]:
    """The latest of each kind; only the first of a kind is told."""
    glance, currency = scene.glance, scene.currency
    for look in glance.firsts[:1]:
        why = ", ".join(f"{arrow} {words}" for arrow, words in told_reasons(look.reasons, currency))
        first = money(look.first_order_minor, currency)
        yield "first", f"{look.customer_id} bought for {first}: {percent(look.score)} to become a VIP ({why})"
    for before, look in glance.minds[:1]:
        moved = f"from {percent(before)} to {percent(look.score)}"
        why = ", ".join(words for arrow, words in told_reasons(look.reasons, currency) if arrow == UP)
        yield "mind", f"{look.customer_id} {told_look(look)}: {moved} ({why})"
    for customer, fate in list(glance.fates.items())[:1]:
        yield "fate", f"{customer} is assigned: {fate}"
    for change in glance.tiers[:1]:
        yield "tier", f"{change.customer_id} {told_tier(change, currency)}"
    for reject in glance.rejects[:1]:
        yield "reject", f"a record of {reject.topic} was rejected: {told_reject(reject)}"
    for kind, verdict in glance.verdicts.items():
        if verdict.positives > 1:
            yield "model", f"the model has learnt its first outcomes ({kind} looks): {_judged(verdict)}"


def _judged(verdict: Comparison) -> str:
    if are_few(verdict.positives, verdict.examples):
        return f"too early: {many(verdict.positives, 'VIP')} in {many(verdict.examples, 'outcome')}"
    difference = f"{verdict.difference:+.3f} ± {verdict.half_width:.3f}"
    return f"AUC {verdict.river_auc:.3f}, rule {verdict.rule_auc:.3f} ({difference}, n {verdict.examples:,})"


# ---- at the end --------------------------------------------------------------------------------------------------------


def summary(scene: Scene) -> Iterable[Row]:
    """What happened, row by row."""
    glance, counts = scene.glance, scene.glance.counts
    chosen = counts.get("assignments", 0) + counts.get("control", 0)
    serving = sum(pool.serving for pool in glance.pools)
    capacity = sum(pool.capacity for pool in glance.pools)
    until = datetime.fromtimestamp(scene.now_ms / 1000, UTC)
    yield "events", f"{scene.events:,}", f"{scene.day} days of a shop, until {until:%Y-%m-%d}"
    yield "first purchases", _count(counts, "first_purchases"), _decided(scene)
    yield (
        "second looks",
        _count(counts, "second_looks"),
        f"{_count(counts, 'minds_changed')} moved by 10 points or more",
    )
    yield "assigned", _count(counts, "assignments"), f"{serving} of {capacity} places taken at the end"
    yield (
        "control group",
        _count(counts, "control"),
        f"{percent(counts.get('control', 0) / max(1, chosen))} of those chosen",
    )
    yield "tier changes", _count(counts, "tier_changes"), f"{_count(counts, 'tier_reached')} reached"
    learnt = f"{_count(counts, 'snapshots')} model versions; advised customers teach nothing"
    yield "outcomes learnt", _count(counts, "examples_learnt"), learnt
    for kind, verdict in glance.verdicts.items():
        yield f"model, {kind} looks", "", _judged(verdict)
    yield "rejected", _count(counts, "rejected"), "each with its reason; nothing stopped"


def _count(counts: Mapping[str, int], name: str) -> str:
    return f"{counts.get(name, 0):,}"


def _decided(scene: Scene) -> str:
    glance = scene.glance
    if glance.p50_ms is None or glance.p99_ms is None:
        return "none was scored yet"
    return f"from order to score {glance.p50_ms:.0f} ms, 99 % within {glance.p99_ms:.0f} ms"


def report(scene: Scene, wall_s: float) -> dict[str, object]:
    """The JSON object of `maitred demo --json`; docs/demo.md says what each means."""
    glance, counts = scene.glance, scene.glance.counts
    whole = (
        "first_purchases", "scores", "second_looks", "minds_changed", "examples", "examples_learnt", "snapshots", "assignments",
        "assignments_ended", "control", "tier_changes", "rejected",
    )  # fmt: skip
    return {
        "events": scene.events,
        **{name: counts.get(name, 0) for name in whole},
        "decision_p50_ms": _rounded(glance.p50_ms),
        "decision_p99_ms": _rounded(glance.p99_ms),
        "first_score_s": _rounded(scene.first_score_s),
        "wall_s": _rounded(wall_s),
        "days": scene.day,
        "seed": scene.plan.seed,
        "capacity": {pool.name: {"serving": pool.serving, "places": pool.capacity} for pool in glance.pools},
        "model_version": glance.model_version,
        "model": {
            kind: {
                "examples": verdict.examples,
                "vips": verdict.positives,
                "rule_auc": _rounded(verdict.rule_auc),
                "model_auc": _rounded(verdict.river_auc),
                "difference": _rounded(verdict.difference),
                "half_width": _rounded(verdict.half_width),
            }
            for kind, verdict in glance.verdicts.items()
            if verdict.positives > 1
        },
    }


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)
