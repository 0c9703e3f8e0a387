"""River's drift detectors, by name. What they are shown and when stands in `drift.py`."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from river import drift

ADWIN: Final = "ADWIN"
PAGE_HINKLEY: Final = "PageHinkley"
CONFIDENCE: Final = 0.0002  # ten series are watched, each over and over


def _adwin() -> "drift.ADWIN":
    from river import drift  # noqa: PLC0415  # River takes seconds to import

    return drift.ADWIN(delta=CONFIDENCE)  # type: ignore[no-untyped-call]  # River's own is untyped


def _page_hinkley() -> "drift.PageHinkley":
    from river import drift  # noqa: PLC0415  # as above

    return drift.PageHinkley(delta=0.01, threshold=5.0, mode="up")


_MAKERS: Final[Mapping[str, "Callable[[], drift.ADWIN | drift.PageHinkley]"]] = {
    ADWIN: _adwin,
    PAGE_HINKLEY: _page_hinkley,
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
