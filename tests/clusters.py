"""A real cluster of worker processes on this machine, for tests of work that is spread."""

from collections.abc import Iterator
from contextlib import contextmanager

from distributed import Client, LocalCluster


@contextmanager
def three_workers() -> Iterator[Client]:
    """Start three processes of one thread each; they end with the block."""
    with (
        LocalCluster(
            n_workers=3,
            threads_per_worker=1,
            processes=True,
            dashboard_address="127.0.0.1:0",  # any free port: without one it insists on 8787
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client
