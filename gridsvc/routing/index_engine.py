"""Which look-ups a process uses: compiled ones wherever the compiler can be loaded."""

from functools import cache
from types import ModuleType

from gridsvc.routing import lookup_numpy


@cache
def engine() -> ModuleType:
    """Give the module with the look-ups; loading the compiler takes a second, once a process.

    Without numba (no wheel for the processor or the Python) or with NUMBA_DISABLE_JIT=1 it is
    `gridsvc.routing.lookup_numpy`: the same answers, some five times slower.
    """
    try:
        import numba  # noqa: PLC0415

        from gridsvc.routing import lookup  # noqa: PLC0415
    except ImportError:
        return lookup_numpy
    return lookup_numpy if numba.config.DISABLE_JIT else lookup  # type: ignore[attr-defined]
