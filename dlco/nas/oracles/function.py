"""`FunctionAccuracy`: any callable as an oracle."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dlco.errors import InvalidInput
from dlco.nas.space import NetworkSpace


class FunctionAccuracy:
    """Accuracies from a function that trains, looks up or predicts one network at a time.

    Where many networks are judged faster together, write a class with `space` and `accuracy` instead: that is all an
    oracle is.

    Args:
        space: the networks that the function takes.
        function: network -> accuracy in percent.

    Examples:
        >>> from dlco.nas import ResNet
        >>> from dlco.nas.oracles import FunctionAccuracy
        >>> space = ResNet(18)
        >>> oracle = FunctionAccuracy(space, lambda network: 60.0 + sum(network))  # made up
        >>> oracle.accuracy([(0, 0, 0, 0), (3, 3, 3, 3)]).tolist()
        [60.0, 72.0]
    """

    def __init__(self, space: NetworkSpace[Any], function: Callable[[Any], float]) -> None:
        if not callable(function):
            raise InvalidInput(f"function is {function!r}; it must be callable with a network")
        self.space = space
        self.function = function

    def accuracy(self, networks: Sequence[Any]) -> Tensor:
        """Accuracy of each network in percent: `[n]`, float64.

        Raises:
            InvalidInput: a network is not of the space, or the function's answer no number from 0 to 100.
        """
        for network in networks:
            self.space.check(network)
        return torch.tensor([self._percent(network) for network in networks], dtype=torch.float64)

    def _percent(self, network: Any) -> float:
        answer = self.function(network)
        try:
            value = float(answer)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 100:
            raise InvalidInput(f"function({network!r}) is {answer!r}; it must be a number from 0 to 100, percent")
        return value
