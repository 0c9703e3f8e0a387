"""What the log was made of, what could not be used, and what it lacks."""

from collections.abc import Mapping
from typing import Final

from streams.replay.report.parts import Section, Sheet
from streams.replay.report.shared import capital
from streams.replay.report.words import count, day, percent
from streams.replay.results import Results

SENTENCES: Final = {
    "guests": "orders of guests (no customer id): counted, not scored",
    "duplicates": "duplicates: known by id and content, used once",
    "unmatched_returns": "returns that match no order known",
    "late": "events that came after their time had passed",
}

KINDS: Final = {"near": 0, "reached": 1, "at_risk": 2, "lost": 3}


def quality(results: Results) -> Section:
    facts = results.quality
    section = Section(name="data", title="The data behind it")
    if facts.first_event_ms is not None:
        section.lead.append(
            f"{results.events:,} events from {day(facts.first_event_ms)} to {day(facts.last_event_ms)}; "
            f"{results.first_purchases:,} first purchases."
        )
    rows = [(name, count(number), percent(_share(number, results.events), 1)) for name, number in _sorted(facts.events)]
    if rows:
        section.sheets.append(Sheet(caption="Events by kind", columns=("kind", "events", "share"), rows=tuple(rows)))
    trouble = [(said, count(getattr(facts, name))) for name, said in SENTENCES.items()]
    trouble += [(f"rejected: {name}", count(number)) for name, number in _sorted(facts.rejected)]
    if not facts.rejected:
        trouble.append(("rejected", "0"))
    section.sheets.append(
        Sheet(caption="What could not be used as it came", columns=("what", "how many"), rows=tuple(trouble))
    )
    if facts.left_out:
        rows_of_source = tuple((reason.replace("_", " "), count(number)) for reason, number in _sorted(facts.left_out))
        columns = ("why", "rows")
        section.sheets.append(
            Sheet(caption="Rows of the source that were left out", columns=columns, rows=rows_of_source)
        )
    if facts.tier_changes:
        section.sheets.append(_tiers(facts.tier_changes))
    if facts.others:
        others = tuple((name.replace("_", " "), count(number)) for name, number in _sorted(facts.others))
        section.sheets.append(Sheet(caption="Counted besides", columns=("what", "how many"), rows=others))
    if results.source.lacks:
        section.notes.append(f"What this source lacks: {'; '.join(results.source.lacks)}.")
    section.notes.extend(f"{capital(note).rstrip('.')}." for note in results.notes)
    return section


def _tiers(changes: Mapping[str, int]) -> Sheet:
    """One line a tier; the changes are named "gold reached"."""
    pairs = {tuple(name.rsplit(" ", 1)): number for name, number in changes.items()}
    tiers = list(dict.fromkeys(pair[0] for pair in pairs))
    kinds = sorted({pair[-1] for pair in pairs}, key=lambda kind: (KINDS.get(kind, len(KINDS)), kind))
    tiers.sort(key=lambda tier: (-max(number for pair, number in pairs.items() if pair[0] == tier), tier))
    rows = tuple((tier, *(count(pairs.get((tier, kind), 0)) for kind in kinds)) for tier in tiers)
    columns = ("tier", *(kind.replace("_", " ") for kind in kinds))
    return Sheet(caption="Loyalty tiers announced", columns=columns, rows=rows)


def _sorted(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))


def _share(number: int, of: int) -> float | None:
    return number / of if of else None
