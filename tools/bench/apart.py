"""A measurement in a process of its own, on one core: what came before leaves nothing behind."""

import multiprocessing
import multiprocessing.connection
from collections.abc import Callable
from typing import TypeVar, cast

from tools.bench import contestants

_T = TypeVar("_T")


def alone(measure: Callable[..., _T], *asked: object, say: Callable[[str], None]) -> _T:
    """Measure.

    Args:
        measure: Called with `asked` and something to tell how far it is.
        asked: Can be pickled.
        say: Is told what the other process says.

    Raises:
        RuntimeError: the process ended early.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_measure, args=(theirs, measure, asked))
    process.start()
    while process.is_alive() or mine.poll():
        if mine.poll(1.0):
            kind, value = mine.recv()
            if kind == "done":
                process.join()
                return cast("_T", value)
            say(value)
    raise RuntimeError(f"{measure.__name__} ended before it was done")


def _measure(
    pipe: multiprocessing.connection.Connection,
    measure: Callable[..., object],
    asked: tuple[object, ...],
) -> None:
    contestants.on_one_core()
    pipe.send(("done", measure(*asked, lambda words: pipe.send(("said", words)))))
