"""Choose where the work on a dataset runs: in processes of this machine, or on a Ray cluster.

Both give the same bytes, so the engine is not part of a dataset's ID.
"""

import importlib.util
from typing import Literal

import msgspec

from tuning.dataset.options import DatasetOptions
from tuning.dataset.workspace.parallel import Workers
from tuning.dataset.workspace.store import Store
from tuning.errors import TuningError
from tuning.machine import usable_cores

EngineName = Literal["local", "ray"]


class Engine(msgspec.Struct, frozen=True):
    """Hold where the work runs. `address` is that of a Ray cluster, or "" to start Ray on this machine."""

    name: EngineName = "local"
    address: str = ""

    def workers(self, count: int | None, store: Store, options: DatasetOptions) -> Workers:
        """Return `count` workers for the dataset with these options. None means one for each core that can be used.

        The workers of a Ray cluster read and write their files in `store`. On entering it, the result raises
        TuningError if the cluster cannot be used.
        """
        if self.name != "ray":
            return Workers(count or usable_cores())
        from tuning.dataset.workspace.on_ray import RayWorkers

        return RayWorkers(count, self.address, store, options)


HERE = Engine()


def choose_engine(name: EngineName | None, address: str | None, preset: str | None = None) -> Engine:
    """Return the engine of these options, before any work is done.

    Raises TuningError if the options do not fit together, Ray is not installed, or no Ray cluster answers.
    """
    if name != "ray":
        if address:
            raise TuningError("--address is that of a Ray cluster", "Add --engine ray")
        return HERE
    if preset == "seed":
        raise TuningError("--preset seed only copies texts, which needs no cluster", "Leave out --engine")
    if importlib.util.find_spec("ray") is None:
        raise TuningError("--engine ray needs the package ray", "Install it: pip install '.[ray]'")
    if address:
        from tuning.dataset.workspace.on_ray import check_address

        check_address(address)
    return Engine("ray", address or "")
