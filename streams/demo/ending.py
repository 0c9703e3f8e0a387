"""The end of the demo, when somebody asks for it."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Whether somebody asked for the end. Asked twice, nobody is waited for: then `hurry` is called.

    A plain flag to be looked at: setting a `threading.Event` from a signal could find its lock held, for ever.
    """

    def __init__(self) -> None:
        self.is_asked = False
        self.hurry: Callable[[], object] = lambda: None

    def ask(self) -> None:
        if self.is_asked:
            self.hurry()
        self.is_asked = True

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """Ctrl-C, SIGTERM and a closed terminal ask for the end, instead of breaking off what is under way.

        Whoever has asked is no longer heard afterwards: the process ends by itself.
        """
        before = {number: signal.signal(number, lambda *_: self.ask()) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, signal.SIG_IGN if self.is_asked else handler)
