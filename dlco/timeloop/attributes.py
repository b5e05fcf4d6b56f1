"""What the attributes of an architecture's components mean: sizes, widths, bandwidths, and what dlco does not model."""

import logging
from collections.abc import Callable
from math import inf

from dlco.errors import NotSupported
from dlco.timeloop.document import Entry
from dlco.timeloop.spelling import misspelt

logger = logging.getLogger("dlco")

Attributes = dict[str, Entry]

MESH = ("instances", "meshX", "meshY")
_WORD_BITS = ("word_bits", "word_width", "datawidth")
_BLOCK_SIZE = ("block_size", "n_words")
_WIDTH = ("width", "memory_width", "data_storage_width")
_DEPTH = ("depth", "memory_depth", "data_storage_depth")
_BANDWIDTHS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")
_MOST_STRANGE = 100
LARGEST = 2**32 - 1  # Timeloop reads sizes into 32 bits without a sign

STORAGE = (
    *(*MESH, *_WORD_BITS, *_BLOCK_SIZE, *_WIDTH, *_DEPTH, "cluster_size", "entries", "sizeKB"),
    *(*_BANDWIDTHS, "bandwidth", "multiple_buffering", "vector_access_energy", "cluster_area"),
)
COMPUTE = (*MESH, *_WORD_BITS, "multiplier_width", "energy", "area")
NETWORK = (  # of the network between a storage level and what is inside it
    *("wire_energy", "router_energy", "energy_per_hop", "energy_per_ingress", "tile_width", "network_word_bits"),
    "reduction_supported",
)
ENDS = (  # what says which network of its own a component is connected to
    *("network_read", "network_fill", "network_update", "network_drain", "network_operand", "network_result"),
)

HARMLESS = (  # they are inputs of area and energy estimators, or change only what Timeloop prints
    *("technology", "tech_node", "node", "voltage", "temperature", "global_cycle_seconds", "latency", "version"),
    *("n_banks", "num_banks", "bank_depth", "n_ports", "num_ports", "n_rd_ports", "n_wr_ports", "n_rdwr_ports"),
    *("n_rw_ports", "n_rd_wr_ports", "nports", "nbanks", "size", "type", "n_buffets", "update_fifo_depth"),
    *("address_width", "addr_width", "adder_width", "num_pipeline_stages", "exponent", "mantissa", "sign"),
    *("mantissa_width", "exponent_width", "data_width"),
    *("action_latency_cycles", "cycle_seconds", "default_md_block_size", "concordant_compressed_tile_traversal"),
    *("tile_partition_supported", "decompression_supported", "compression_supported", "class", "subclass"),
    *("multiplier_width", "num_outputs", "num_inputs", "n_inputs", "n_outputs", "num", "n_instances", "clockrate"),
    *("frequency", "device_type", "length", "ratio", "read_energy", "write_energy", "datawidth_a", "datawidth_b"),
    *("width", "rows", "cols", "cell_config", "resolution", "required_actions", "energy_scale", "area_scale"),
)


def _is_zero(entry: Entry, level: str) -> bool:
    return entry.number() == 0


def _is_false(entry: Entry, level: str) -> bool:
    return not entry.flag()


def _is_own(entry: Entry, level: str) -> bool:
    return entry.text() == level


def _are_ones(entry: Entry, level: str) -> bool:
    return all(scale.number() == 1 for scale in entry.mapping().values())


_UNMODELLED: dict[str, Callable[[Entry, str], bool]] = {  # attribute -> whether its value changes nothing
    **dict.fromkeys(("network_fill_latency", "network_drain_latency", "addr_gen_energy", "adder_energy"), _is_zero),
    **dict.fromkeys(("fill_latency", "drain_latency"), _is_zero),
    **dict.fromkeys(("min_utilization", "metadata_storage_width", "metadata_storage_depth"), _is_zero),
    **dict.fromkeys(("metadata_width", "metadata_depth", "metadata_datawidth", "metadata_word_bits"), _is_zero),
    **dict.fromkeys(("has_power_gating", "allow_overbooking"), _is_false),
    "power_gated_at": _is_own,
    "per_dataspace_bandwidth_consumption_scale": _are_ones,
    "metadata_block_size": lambda entry, level: entry.number() == 1,
    "network_type": lambda entry, level: entry.text() in ("1:1", "1:N"),
}


def known_attributes(entry: Entry, component: str, modelled: tuple[str, ...]) -> Attributes:
    """The attributes of a component that are given a value.

    Timeloop looks up those it knows and no others; estimators and expressions may have any besides. So a strange one
    is passed over with a warning, unless it looks like one that Timeloop looks up.

    Args:
        entry: their mapping.
        component: its name, for errors.
        modelled: those that say what it is.

    Raises:
        NotSupported: an attribute changes results in a way that dlco does not model.
        InvalidInput: an attribute looks misspelt, or there are more strange ones than any file has.
    """
    given = {key: value for key, value in entry.mapping().items() if value.value is not None}
    looked_up = (*modelled, *NETWORK, *ENDS, *_UNMODELLED)
    strange = [key for key in given if key not in looked_up and key not in HARMLESS]
    if len(strange) > _MOST_STRANGE:
        raise entry.error(f"{component} has {len(strange)} attributes that Timeloop never looks up")
    for key in strange:
        meant = misspelt(key, looked_up)
        if meant:
            raise given[key].error(
                f"unknown attribute {key!r} of {component}; allowed: {meant} and others that Timeloop looks up"
            )
    if strange:
        names = ", ".join(key[:60] for key in strange)
        logger.warning("%s: nothing looks up %s of %s: passed over", given[strange[0]].where, names, component)
    for key, value in given.items():
        if key in _UNMODELLED and not _UNMODELLED[key](value, component):
            raise NotSupported(f"{value.where}: {key} of {component} is {value.shown}; dlco does not model it")
    return given


def word_bits(attributes: Attributes, default: int = 16) -> int:
    """Bits of a word."""
    entry = _first(attributes, _WORD_BITS)
    return _size(entry) if entry else default


def network_bits(attributes: Attributes, names: tuple[str, ...] = _WORD_BITS) -> int | None:
    """Bits of a word in the network of a component or container: its own, or the word's by one of `names`."""
    entry = _first(attributes, ("network_word_bits", *names))
    return _size(entry) if entry else None


def storage_fields(attributes: Attributes, name: str) -> dict[str, float]:
    """Sizes of a storage level as keyword arguments of `dlco.hardware.Level`.

    A block is what one access moves: given as such, or the memory's width over the word's. A depth counts blocks.

    Raises:
        InvalidInput: widths that do not divide, a `sizeKB` beside another size, or a value out of range.
        NotSupported: several blocks to a row (cluster_size above 1).
    """
    bits = word_bits(attributes)
    block = _block_size(attributes, bits, name)
    fields: dict[str, float] = {"word_bits": bits, "block_size": block}
    fields["capacity"] = _capacity(attributes, bits, block, name)
    if "bandwidth" in attributes:
        fields["read_bandwidth"] = fields["write_bandwidth"] = attributes["bandwidth"].number(positive=True) / 2
    for key in (*_BANDWIDTHS, "multiple_buffering"):
        if key in attributes:
            fields[key] = attributes[key].number(positive=True)
    return fields


def _block_size(attributes: Attributes, bits: int, name: str) -> int:
    block = _first(attributes, _BLOCK_SIZE)
    cluster = attributes.get("cluster_size")
    width = _first(attributes, _WIDTH)
    words, clusters = (_size(entry) if entry else 1 for entry in (block, cluster))
    if width is not None:
        bits_wide = _size(width)
        if bits_wide % (bits * words * clusters):
            raise width.error(
                f"width of {name} is {bits_wide} bits; it must be a multiple of the {bits * words * clusters} bits of "
                "its words and blocks"
            )
        if block is None:
            words = bits_wide // (bits * clusters)
        elif cluster is None:
            clusters = bits_wide // (bits * words)
        elif bits * words * clusters != bits_wide:
            raise width.error(f"width of {name} is {bits_wide} bits; its blocks make {bits * words * clusters}")
    if clusters > 1:
        raise NotSupported(
            f"{(cluster or width or block).where}: cluster_size of {name} is {clusters}; "  # type: ignore[union-attr]
            "dlco does not model it"
        )
    return words


def _capacity(attributes: Attributes, bits: int, block: int, name: str) -> float:
    """Words that an instance holds: entries win over a depth, as in Timeloop, which stops at a size in KB beside it."""
    entries, depth, kilobytes = attributes.get("entries"), _first(attributes, _DEPTH), attributes.get("sizeKB")
    other = entries or depth
    if kilobytes and other:
        raise kilobytes.error(f"{name} has both {other.name} and sizeKB; one of them may give its size")
    if entries:
        return _size(entries, 0)
    if depth:
        return _size(depth, 0) * block
    return _size(kilobytes, 0) * 8192 // bits if kilobytes else inf


def _size(entry: Entry, minimum: int = 1) -> int:
    return entry.integer(minimum, LARGEST)


def _first(attributes: Attributes, names: tuple[str, ...]) -> Entry | None:
    return next((attributes[name] for name in names if name in attributes), None)
