"""Networks as lists of layers: one function each, taking the batch size, and a registry by name.

Shapes are those of torchvision's models at 224x224 (the transformers': of the papers). Layers of one shape are merged
into one with a count, since the same mapping is best for all of them. Biases, normalisation, activations, pooling and
element-wise sums are no loop nests of multiply-accumulates and have no layer.

`get_graph` has the same networks with their course: which layer reads whose result, and layers for pooling, sums,
normalisation and softmax, too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from inspect import signature

from dlco.errors import InvalidInput
from dlco.workload.graph import Network
from dlco.workload.layer import Layer, check_layers
from dlco.workload.networks import inverted, plain, resnet, transformer
from dlco.workload.networks.builder import Builder, Recorder
from dlco.workload.networks.inverted import efficientnet_b0, mobilenet_v2, mobilenet_v3_large
from dlco.workload.networks.plain import alexnet, vgg16
from dlco.workload.networks.resnet import resnet18, resnet34, resnet50
from dlco.workload.networks.transformer import bert_base_block, gpt2_small_decode, gpt2_small_prefill, vit_b16_block
from dlco.workload.problem import check_positive_int

__all__ = [
    "NETWORKS",
    "alexnet",
    "bert_base_block",
    "efficientnet_b0",
    "get_graph",
    "get_network",
    "gpt2_small_decode",
    "gpt2_small_prefill",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "resnet18",
    "resnet34",
    "resnet50",
    "together",
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
        gpt2_small_prefill,
        gpt2_small_decode,
    )
}
"""Every network by the name of its function; each takes `batch`."""

_IMAGES: dict[str, Callable[[Builder], Builder]] = {
    "alexnet": plain.follow_alexnet,
    "vgg16": plain.follow_vgg16,
    "resnet18": resnet.follow_resnet18,
    "resnet34": resnet.follow_resnet34,
    "resnet50": resnet.follow_resnet50,
    "mobilenet_v2": inverted.follow_mobilenet_v2,
    "mobilenet_v3_large": inverted.follow_mobilenet_v3_large,
    "efficientnet_b0": inverted.follow_efficientnet_b0,
}
_TOKENS: dict[str, Callable[..., Recorder]] = {
    "bert_base_block": transformer.follow_bert_base_block,
    "vit_b16_block": transformer.follow_vit_b16_block,
    "gpt2_small_prefill": transformer.follow_gpt2_small_prefill,
    "gpt2_small_decode": transformer.follow_gpt2_small_decode,
}


def get_network(name: str, batch: int = 1) -> list[Layer]:
    """The layers of the network called `name`; case, "-" and "_" do not matter, so "ResNet-18" is resnet18.

    Raises:
        InvalidInput: there is no such network, or `batch` is not a positive integer.

    Examples:
        >>> from dlco.workload import get_network
        >>> [layer.name for layer in get_network("BERT-base-block")]
        ['projection', 'scores', 'values', 'ffn_up', 'ffn_down']
    """
    return NETWORKS[_known(name)](batch=batch)


def get_graph(name: str, batch: int = 1, *, macs_only: bool = False, **sizes: int) -> Network:
    """The network called `name` with its course.

    Args:
        name: as for `get_network`.
        batch: images, or sequences.
        macs_only: whether to leave out layers without multiply-accumulates, so that the layers are those of
            `get_network`; a sum is then taken to be computed where the later of its operands is written.
        **sizes: of a transformer: what its function takes beside `batch`.

    Raises:
        InvalidInput: there is no such network, or a size is not what it should be.

    Examples:
        >>> from dlco.workload import get_graph
        >>> network = get_graph("resnet18")
        >>> [step.layer for step in network.graph.steps[:6]]
        ['conv1', 'pool', 'layer1', 'layer1', 'layer1_add', 'layer1']
        >>> [(edge.source, edge.space) for edge in network.graph.inputs[4]]  # what is added up: a block's two results
        [(1, 'Weights'), (3, 'Inputs')]
    """
    known = _known(name)
    check_positive_int("batch", batch)
    if known in _IMAGES:
        if sizes:
            raise InvalidInput(f"{next(iter(sizes))} is given, but network {known} takes the batch alone")
        return _IMAGES[known](Builder(batch, macs_only=macs_only)).network(known)
    follow = _TOKENS[known]
    taken = list(signature(follow).parameters)[2:]
    for size in sizes:
        if size not in taken:
            raise InvalidInput(f"{size} is given, but network {known} takes {', '.join(['batch', *taken])}")
    return follow(Recorder(macs_only), batch, **sizes).network(known)


def together(networks: Mapping[str, Iterable[Layer]], weights: Mapping[str, int] | None = None) -> list[Layer]:
    """Several networks as one list, for a machine that runs them all: layers are named "network.layer".

    Args:
        networks: by name.
        weights: how often each of them runs, 1 unless given; costs are sums over all runs.

    Raises:
        InvalidInput: there is no network, one is no list of layers, or a weight is no positive integer or of a network
            that is not there.

    Examples:
        >>> from dlco.workload.networks import bert_base_block, resnet18, together
        >>> both = together({"resnet18": resnet18(), "bert": bert_base_block()}, {"bert": 12})
        >>> [(layer.name, layer.count) for layer in both[-2:]]
        [('bert.ffn_up', 12), ('bert.ffn_down', 12)]
    """
    times = dict(weights or {})
    if not networks:
        raise InvalidInput("networks is empty; it must hold at least one")
    for name in times:
        if name not in networks:
            raise InvalidInput(f"weights names {name!r}, which is none of {', '.join(networks)}")
        check_positive_int(f"weight of {name}", times[name])
    return [
        replace(layer, name=f"{network}.{layer.name}", count=layer.count * times.get(network, 1))
        for network, layers in networks.items()
        for layer in check_layers(layers)
    ]


def _known(name: str) -> str:
    """The name of a network in `NETWORKS`."""
    known = {_plain(key): key for key in NETWORKS}
    plain_name = _plain(str(name))
    if plain_name not in known:
        close = get_close_matches(plain_name, known, n=1)
        hint = f" (closest: {known[close[0]]})" if close else ""
        raise InvalidInput(f"network is {name!r}; it must be one of {', '.join(NETWORKS)}{hint}")
    return known[plain_name]


def _plain(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
