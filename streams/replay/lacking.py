"""What a log of events can't tell, because it has none of a kind: to be said aloud, where the source itself says nothing."""

from collections.abc import Mapping

LACKS: Mapping[str, str] = {
    "ItemsReturned": "no ItemsReturned: money that was given back counts as spent",
    "PageBrowsed": "no PageBrowsed: features of browsing stay at nothing",
    "ConsentChanged": 'no ConsentChanged: nobody is known to have agreed; assignment.consent = "not_withdrawn" fits',
}


def lacking(kinds: Mapping[str, int]) -> tuple[str, ...]:
    """By how many events of each class there are.

    >>> len(lacking({"OrderPlaced": 7, "ItemsReturned": 1}))
    2
    """
    return tuple(lack for kind, lack in LACKS.items() if not kinds.get(kind))
