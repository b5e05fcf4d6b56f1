"""What the attributes of an architecture's components mean: sizes, widths, bandwidths, and what dlco does not model."""

import logging
from collections.abc import Callable
from difflib import get_close_matches
from math import inf

from dlco.errors import NotSupported
from dlco.timeloop.document import Entry

logger = logging.getLogger("dlco")

Attributes = dict[str, Entry]

MESH = ("instances", "meshX", "meshY")
_WORD_BITS = ("word_bits", "word_width", "datawidth")
_BLOCK_SIZE = ("block_size", "n_words")
_WIDTH = ("width", "memory_width", "data_storage_width")
_DEPTH = ("depth", "memory_depth", "data_storage_depth")
_BANDWIDTHS = ("read_bandwidth", "write_bandwidth", "shared_bandwidth")

STORAGE = (
    *(*MESH, *_WORD_BITS, *_BLOCK_SIZE, *_WIDTH, *_DEPTH, "cluster_size", "entries", "sizeKB"),
    *(*_BANDWIDTHS, "bandwidth", "multiple_buffering", "vector_access_energy", "cluster_area"),
)
COMPUTE = (*MESH, *_WORD_BITS, "multiplier_width", "energy", "area")

HARMLESS = (  # they are inputs of area and energy estimators, or change only what Timeloop prints
    *("technology", "tech_node", "node", "voltage", "temperature", "global_cycle_seconds", "latency", "version"),
    *("n_banks", "num_banks", "n_ports", "num_ports", "n_rd_ports", "n_wr_ports", "n_rdwr_ports", "n_rw_ports"),
    *("type", "n_buffets", "update_fifo_depth", "address_width", "addr_width", "adder_width", "num_pipeline_stages"),
    *("exponent", "mantissa", "mantissa_width", "exponent_width", "data_width", "reduction_supported", "tile_width"),
    *("action_latency_cycles", "cycle_seconds", "default_md_block_size", "concordant_compressed_tile_traversal"),
    *("tile_partition_supported", "decompression_supported", "compression_supported", "class", "subclass"),
    *("network_word_bits", "size", "multiplier_width", "num_outputs", "num_inputs", "nports", "nbanks"),
)


def _is_zero(entry: Entry, level: str) -> bool:
    return entry.number() == 0


def _is_false(entry: Entry, level: str) -> bool:
    return not entry.flag()


def _is_own(entry: Entry, level: str) -> bool:
    return entry.text() == level


def _are_ones(entry: Entry, level: str) -> bool:
    return all(scale.number() == 1 for scale in entry.mapping().values())


def _never(entry: Entry, level: str) -> bool:
    return False


_UNMODELLED: dict[str, Callable[[Entry, str], bool]] = {  # attribute -> whether its value changes nothing
    **dict.fromkeys(("network_fill_latency", "network_drain_latency", "addr_gen_energy", "adder_energy"), _is_zero),
    **dict.fromkeys(("energy_per_hop", "wire_energy", "router_energy", "energy_per_ingress"), _is_zero),
    **dict.fromkeys(("min_utilization", "metadata_storage_width", "metadata_storage_depth"), _is_zero),
    **dict.fromkeys(("metadata_datawidth", "metadata_word_bits"), _is_zero),
    **dict.fromkeys(("has_power_gating", "allow_overbooking"), _is_false),
    **dict.fromkeys(("network_read", "network_fill", "network_drain", "network_update"), _never),
    **dict.fromkeys(("network_operand", "network_result"), _never),
    "power_gated_at": _is_own,
    "per_dataspace_bandwidth_consumption_scale": _are_ones,
    "metadata_block_size": lambda entry, level: entry.number() == 1,
}


def known_attributes(entry: Entry, component: str, modelled: tuple[str, ...], *, loose: bool = False) -> Attributes:
    """The attributes of a component, once every one is known.

    Args:
        entry: their mapping.
        component: its name, for errors.
        modelled: those that say what it is.
        loose: whether others are passed over with a warning, unless they look misspelt: in v0.4 an attribute may be
            made up, for an estimator or for expressions.

    Raises:
        NotSupported: an attribute changes results in a way that dlco does not model.
        InvalidInput: an attribute that neither Timeloop nor its estimators know.
    """
    for key, value in entry.mapping().items():
        if value.value is None or key in modelled or key in HARMLESS:
            continue
        if key not in _UNMODELLED:
            if loose and not get_close_matches(key, modelled, cutoff=0.85):
                logger.warning(
                    "%s: attribute %s of %s is none that dlco knows: passed over", value.where, key, component
                )
                continue
            raise value.error(f"unknown attribute {key!r} of {component}; allowed: {', '.join(modelled)}, ...")
        if not _UNMODELLED[key](value, component):
            raise NotSupported(f"{value.where}: {key} of {component} is {value.shown}; dlco does not model it")
    return {key: value for key, value in entry.mapping().items() if value.value is not None}


def word_bits(attributes: Attributes, default: int = 16) -> int:
    """Bits of a word."""
    entry = _first(attributes, _WORD_BITS)
    return entry.integer() if entry else default


def storage_fields(attributes: Attributes, name: str) -> dict[str, float]:
    """Sizes of a storage level as keyword arguments of `dlco.hardware.Level`.

    A block is what one access moves: given as such, or the memory's width over the word's. A depth counts blocks.

    Raises:
        InvalidInput: widths that do not divide, two capacities, or a value out of range.
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
    words, clusters = (entry.integer() if entry else 1 for entry in (block, cluster))
    if width is not None:
        bits_wide = width.integer()
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
    depth = _first(attributes, _DEPTH)
    given = [entry for entry in (attributes.get("entries"), depth, attributes.get("sizeKB")) if entry]
    if len(given) > 1:
        raise given[1].error(f"{name} has both {given[0].name} and {given[1].name}; one of them may give its size")
    if not given:
        return inf
    size = given[0].integer()
    if given[0] is depth:
        return size * block
    return size * 8192 // bits if given[0].name == "sizeKB" else size


def _first(attributes: Attributes, names: tuple[str, ...]) -> Entry | None:
    return next((attributes[name] for name in names if name in attributes), None)
