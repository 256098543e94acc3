"""From a point to the people who answer for it."""

from gridsvc.routing.frames import locate, locate_dask

__all__ = ["locate", "locate_dask"]
