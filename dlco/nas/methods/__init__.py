"""How pairs of a network and a machine are searched for.

A method is a function `search(request, evaluator, seed)`. It asks `evaluator.evaluate` for pairs until it has seen
enough, or until the evaluator raises `Exhausted`, which it lets pass; the evaluator keeps the best pair and the trace.
Where `request.network` or `request.machine` is set only that one may be proposed (the one-sided searches): the
request's own samples and neighbours see to it.
"""

from collections.abc import Callable
from importlib import import_module
from typing import cast

from dlco.errors import InvalidInput
from dlco.nas.evaluator import Evaluator
from dlco.nas.request import CoRequest

Method = Callable[[CoRequest, Evaluator, int], None]

METHODS = {
    "relaxed": "relaxed:search",
    "surrogate": "surrogate:search",
    "boshcode": "surrogate:published",
    "evolutionary": "evolutionary:search",
    "local-search": "local_search:search",
    "two-stage": "baselines:two_stage",
    "fixed-network": "baselines:fixed_network",
    "fixed-hardware": "baselines:fixed_hardware",
    "random": "baselines:random",
}
"""By name: the module of this room and the function in it; imported when asked for, as some need extras."""


def find_method(name: object) -> Method:
    """The method of a name.

    Raises:
        InvalidInput: another name, or one whose extra is not installed.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise InvalidInput(f"method is {name!r}; allowed: {', '.join(METHODS)}")
    module, function = METHODS[name].split(":")
    try:
        return cast(Method, getattr(import_module(f"dlco.nas.methods.{module}"), function))
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"method {name!r} needs the package {error.name}; install dlco with its extra [nas]"
        ) from None
