"""What the workers of a cluster need again and again is sent to each of them once, and stays."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from distributed import WorkerPlugin, get_worker


class _Held(WorkerPlugin):
    """Holds something; workers that join later get it too."""

    def __init__(self, what: Any) -> None:  # noqa: ANN401
        self.what = what


def send(client: Any, what: Any) -> str:  # noqa: ANN401
    """Send something to each worker; gives the name under which `held` finds it there.

    It stays until `take_back` or the end of the cluster.

    Args:
        client: A `dask.distributed.Client`.
        what: Picklable.
    """
    name = f"gridsvc-{uuid.uuid4().hex}"
    client.register_plugin(_Held(what), name=name)
    return name


def take_back(client: Any, name: str) -> None:  # noqa: ANN401
    """Let the workers drop what was sent to them."""
    client.unregister_worker_plugin(name)


@contextmanager
def sent(client: Any, what: Any) -> Iterator[str]:  # noqa: ANN401
    """Send something for the time of a block."""
    name = send(client, what)
    try:
        yield name
    finally:
        take_back(client, name)


def held(name: str) -> Any:  # noqa: ANN401
    """Give what was sent to this worker under a name."""
    plugin: Any = get_worker().plugins[name]
    return plugin.what
