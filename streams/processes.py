"""Processes of our own that share a task, and never outlive it.

They hear nothing of the terminal: Ctrl-C comes to the driver alone, who ends them. If the driver is killed, they end with it.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.process import BaseProcess
from threading import Thread

SPAWNED = get_context("spawn")


@contextmanager
def pool_of(
    count: int, begin: Callable[..., object] | None = None, given: tuple[object, ...] = ()
) -> Iterator[ProcessPoolExecutor]:
    """So many processes, each begun with `begin(*given)`. Whatever ends the block ends them, at whatever they are."""
    before = active_children()
    with ProcessPoolExecutor(count, SPAWNED, _depend_on_the_parent, (begin, given)) as pool:
        try:
            yield pool
        except BaseException:  # nobody wants what they are at any more
            pool.shutdown(wait=False, cancel_futures=True)
            for process in active_children():
                if process not in before:
                    process.terminate()
            raise


def _depend_on_the_parent(begin: Callable[..., object] | None, given: tuple[object, ...]) -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with, args=(parent_process(),), daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_with(parent: BaseProcess | None) -> None:
    if parent is not None:
        parent.join()
    os._exit(1)
