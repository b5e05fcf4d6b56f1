"""`NatsBenchAccuracy`: accuracies from a NATS-Bench API object.

The object is `nats_bench.create(...)`'s, of the package `nats_bench` (MIT licence), whose data files the user has. Two
of its calls are used, and nothing of it is imported: `query_index_by_arch(text)`, which is -1 for an unknown network,
and `get_more_info(index, dataset, iepoch=None, hp="12", is_random=True)`, a dict of figures.

Dong, Liu, Musial, Gabrys: NATS-Bench, IEEE TPAMI 2021. NATS-Bench's topology space is NAS-Bench-201's.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from dlco.errors import InvalidInput
from dlco.nas.oracles.function import FunctionAccuracy
from dlco.nas.space import NetworkSpace


class NatsBench(Protocol):
    """The calls of a NATS-Bench API object that are used here."""

    def query_index_by_arch(self, arch: str) -> int:
        """The network's index, or -1."""

    def get_more_info(
        self, index: int, dataset: str, iepoch: int | None = None, hp: str = "12", is_random: bool = True
    ) -> Mapping[str, Any]:
        """Losses, accuracies and times of a network on a data set."""


class NatsBenchAccuracy(FunctionAccuracy):
    """Accuracies from a NATS-Bench API object, averaged over its training seeds.

    The default asks for validation accuracy, as a search should: the test accuracy of a network that was chosen for
    its test accuracy is optimistic. Ask for `("cifar10", "test-accuracy")` to judge what was found.

    Args:
        space: whose `format` gives the strings that the API knows.
        api: the object.
        dataset: "cifar10-valid", "cifar10", "cifar100" or "ImageNet16-120".
        metric: of the dict that the API answers, such as "valid-accuracy" or "test-accuracy".
        epochs: of training: "12" or "200" for the topology space; "01", "12" or "90" for the size space.
    """

    def __init__(
        self,
        space: NetworkSpace[Any],
        api: NatsBench,
        dataset: str = "cifar10-valid",
        metric: str = "valid-accuracy",
        epochs: str = "200",
    ) -> None:
        for call in ("query_index_by_arch", "get_more_info"):
            if not callable(getattr(api, call, None)):
                raise InvalidInput(f"api is {api!r}; it must have the method {call} of nats_bench")
        super().__init__(space, self._mean)
        self.api = api
        self.dataset = dataset
        self.metric = metric
        self.epochs = str(epochs)

    def _mean(self, network: Any) -> float:
        """Percent; `InvalidInput` where the API does not know the network, or the metric on this data set."""
        text = self.space.format(network)
        index = self.api.query_index_by_arch(text)
        if index < 0:
            raise InvalidInput(f"network {text!r} is not in this NATS-Bench")
        # is_random=False is the mean over seeds; the default would pick one of them at random
        info = self.api.get_more_info(index, self.dataset, hp=self.epochs, is_random=False)
        if self.metric not in info:
            known = ", ".join(key for key in info if key.endswith("accuracy"))
            raise InvalidInput(f"metric is {self.metric!r}; NATS-Bench has {known} on {self.dataset}")
        return float(info[self.metric])
