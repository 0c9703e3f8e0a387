"""Settings against what a namespace was made with."""

import pytest

from streams.namespace import Made, made_with
from streams.settings import Settings, read
from streams.topics import judged_made, made

SETTINGS = read({"kafka": {"replication": 1}}, {})


def told(was_made: Made | None, settings: Settings = SETTINGS) -> list[tuple[str, bool]]:
    """The settings to mend, and whether they keep a worker from starting."""
    return [(problem.setting, problem.stops) for problem in judged_made(was_made, settings)]


@pytest.mark.parametrize(("was_made", "expected"), [
    (made_with(SETTINGS), []),
    (Made("event", 4, "EUR"), [("time", True)]),
    (Made("wall", 4, "JPY"), [("money.base", True)]),
    (Made("event", 4, "JPY"), [("time", True), ("money.base", True)]),
    (None, [("", False)]),  # made before there was a record
])  # fmt: skip
def test_another_time_or_currency_stops_and_not_knowing_warns(was_made, expected) -> None:
    assert told(was_made) == expected


def test_what_is_embedded_is_made_anew_with_the_settings() -> None:
    embedded = read({"time": "event", "kafka": {"embedded": True}}, {})
    assert told(made({}, embedded), embedded) == []
    assert made({}, SETTINGS) is None
