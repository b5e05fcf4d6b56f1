"""Networks as lists of layers: one function each, taking the batch size, and a registry by name.

Shapes are those of torchvision's models at 224x224 (the transformers': of the papers). Layers of one shape are merged
into one with a count, since the same mapping is best for all of them. Biases, normalisation, activations, pooling and
element-wise sums are no loop nests of multiply-accumulates and have no layer.
"""

from collections.abc import Callable
from difflib import get_close_matches

from dlco.errors import InvalidInput
from dlco.workload.layer import Layer
from dlco.workload.networks.inverted import efficientnet_b0, mobilenet_v2, mobilenet_v3_large
from dlco.workload.networks.plain import alexnet, vgg16
from dlco.workload.networks.resnet import resnet18, resnet34, resnet50
from dlco.workload.networks.transformer import bert_base_block, vit_b16_block

__all__ = [
    "NETWORKS",
    "alexnet",
    "bert_base_block",
    "efficientnet_b0",
    "get_network",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "resnet18",
    "resnet34",
    "resnet50",
    "vgg16",
    "vit_b16_block",
]

NETWORKS: dict[str, Callable[..., list[Layer]]] = {
    network.__name__: network
    for network in (
        alexnet,
        vgg16,
        resnet18,
        resnet34,
        resnet50,
        mobilenet_v2,
        mobilenet_v3_large,
        efficientnet_b0,
        bert_base_block,
        vit_b16_block,
    )
}
"""Every network by the name of its function; each takes `batch`."""


def get_network(name: str, batch: int = 1) -> list[Layer]:
    """The layers of the network called `name`; case, "-" and "_" do not matter, so "ResNet-18" is resnet18.

    Raises:
        InvalidInput: there is no such network, or `batch` is not a positive integer.

    Examples:
        >>> from dlco.workload import get_network
        >>> [layer.name for layer in get_network("BERT-base-block")]
        ['projection', 'scores', 'values', 'ffn_up', 'ffn_down']
    """
    known = {_plain(key): key for key in NETWORKS}
    plain = _plain(str(name))
    if plain not in known:
        close = get_close_matches(plain, known, n=1)
        hint = f" (closest: {known[close[0]]})" if close else ""
        raise InvalidInput(f"network is {name!r}; it must be one of {', '.join(NETWORKS)}{hint}")
    return NETWORKS[known[plain]](batch=batch)


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
