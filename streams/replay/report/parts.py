"""What a page is made of: cards, figures with their numbers as a table, sections."""

from typing import Any

import altair as alt
from msgspec import Struct


class Sheet(Struct, frozen=True, kw_only=True):
    """A table for people: the first `words` columns are words, the rest numbers, on the right."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


class Figure(Struct, frozen=True, kw_only=True):
    """A plot: its title says what it shows, `how` how to read it, `sheet` has its numbers."""

    name: str
    title: str
    how: str
    chart: Any  # Any: Altair's charts share no class that its own methods return
    sheet: Sheet


class Card(Struct, frozen=True, kw_only=True):
    name: str
    number: str
    beside: str


class Command(Struct, frozen=True, kw_only=True):
    said: str
    typed: str
    is_long: bool = False  # shown when asked for, and not on paper


class Word(Struct, frozen=True, kw_only=True):
    name: str
    meaning: str


class Section(Struct, kw_only=True):
    name: str
    title: str
    lead: list[str] = []
    figures: list[Figure] = []
    sheets: list[Sheet] = []
    notes: list[str] = []
    commands: list[Command] = []
    words: list[Word] = []

    @property
    def is_empty(self) -> bool:
        return not (self.lead or self.figures or self.sheets or self.notes or self.commands or self.words)


Chart = alt.LayerChart | alt.Chart
