"""River's drift detectors, by name. What they are shown and when stands in `drift.py`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from river import drift

ADWIN: Final = "ADWIN"
PAGE_HINKLEY: Final = "PageHinkley"
CONFIDENCE: Final = 0.0002  # ten series are watched, each over and over

_MAKERS: Final[Mapping[str, Callable[[], drift.ADWIN | drift.PageHinkley]]] = {
    ADWIN: lambda: drift.ADWIN(delta=CONFIDENCE),  # type: ignore[no-untyped-call]  # River's own is untyped
    PAGE_HINKLEY: lambda: drift.PageHinkley(delta=0.01, threshold=5.0, mode="up"),
}


def drifts(name: str, seen: Iterable[float], new: Iterable[float]) -> bool:
    """Whether a detector that has seen some values finds a change in the new ones."""
    detector = _MAKERS[name]()
    for value in seen:
        detector.update(value)  # type: ignore[no-untyped-call]  # as above
    found = False
    for value in new:
        detector.update(value)  # type: ignore[no-untyped-call]  # as above
        found = found or detector.drift_detected
    return found
