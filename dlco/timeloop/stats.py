"""What timeloop-model printed: `*.stats.txt` and `*.map+stats.xml`, as the dict that `model` returns."""

import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from dlco.errors import InvalidInput
from dlco.timeloop.document import Source, read_text

_DATASPACE = {
    "Partition size": "partition_size",
    "Utilized capacity": "utilized_capacity",
    "Max utilized data storage capacity": "utilized_capacity",
    "Utilized instances (max)": "utilized_instances",
    "Scalar reads (per-instance)": "reads",
    "Scalar fills (per-instance)": "fills",
    "Scalar updates (per-instance)": "updates",
    "Actual scalar reads (per-instance)": "reads",
    "Actual scalar fills (per-instance)": "fills",
    "Actual scalar updates (per-instance)": "updates",
    "Temporal reductions (per-instance)": "temporal_reductions",
    "Address generations (per-cluster)": "address_generations",
    "Energy (per-instance)": "energy_pj_per_instance",
    "Energy (total)": "energy_pj_total",
}
_LEVEL = {
    "Cycles": "cycles",
    "Bandwidth throttling": "throttling",
    "Instances": "instances",
    "Area": "area_um2",
    "Leakage energy (total)": "leakage_pj_total",
}
_COMPUTE = {
    "Cycles": "cycles",
    "Energy (total)": "energy_pj",
    "Area (total)": "area_um2",
    "Computes (total)": "computes",
    "Actual Computes (total)": "computes",
    "Utilized instances": "utilized_instances",
    "Utilized instances (max)": "utilized_instances",
}
_XML = (  # of every dataspace
    *("reads", "fills", "updates", "temporal_reductions", "address_generations", "utilized_capacity"),
    *("utilized_instances", "partition_size", "energy"),
)
_NETWORK = ("Energy (total)", "Link transfer energy (total)", "Spatial Reduction Energy (total)")
_GROUP = re.compile(r"^ {4}(\S[^:\n]*):\s*$", re.MULTILINE)  # what begins a dataspace's figures
_LINE = re.compile(r"\s*(?P<key>\S.*?)\s*:\s+(?P<value>[-+]?\d[\d.]*(?:e[-+]?\d+)?)\b", re.ASCII | re.IGNORECASE)


def read_stats(stats: Source | None = None, xml: Source | None = None, dataspaces: Sequence[str] = ()) -> dict:
    """The figures of one run, from its files.

    Args:
        stats: path of `*.stats.txt`, which has most figures with two decimals and leaves out what a level bypasses.
        xml: path of `*.map+stats.xml`, which has them in full but without leakage and totals.
        dataspaces: names of the problem's dataspaces in order, which the second file does not hold.

    Returns:
        The keys of `dlco.timeloop.model`, as far as the files have them; the second file's figures come first.

    Raises:
        InvalidInput: no file is given, or one cannot be read or is something else.
    """
    if stats is None and xml is None:
        raise InvalidInput("stats and xml are both None; at least one file must be given")
    printed = parse_stats(read_text(stats, "statistics")) if stats is not None else {}
    return _merged(printed, parse_xml(read_text(xml, "statistics"), dataspaces)) if xml is not None else printed


def parse_stats(text: str) -> dict:
    """The figures in the text of a `*.stats.txt`; raises `InvalidInput` if it is none."""
    detail, _, rest = text.partition("\nNetworks\n")
    summary = rest[rest.find("Summary Stats") :] if "Summary Stats" in rest else ""
    result = _summary(summary)
    if not result or "=== " not in detail:
        raise InvalidInput(
            "statistics text has no levels or no 'Summary Stats'; it must be what timeloop-model printed"
        )
    result["levels"] = {}
    for block in re.split(r"^=== ", detail, flags=re.MULTILINE)[1:]:
        title, _, body = block.partition(" ===")
        if "Technology" in body:
            result["levels"][title] = _level(body)
        else:
            result["compute"] = _compute(body) | ({"computes": result["computes"]} if "computes" in result else {})
    result.pop("computes", None)
    networks = _networks(rest.partition("\nOperational Intensity Stats\n")[0].partition("\nSummary Stats\n")[0])
    return result | ({"networks": networks} if networks else {})


def _networks(text: str) -> dict:
    """Energy of every network and dataspace, pJ, as far as any is printed that is not 0."""
    found: dict[str, dict[str, float]] = {}
    for block in re.split(r"^Network \d+\n-+\n", text, flags=re.MULTILINE)[1:]:
        title, _, body = block.partition("\n")
        groups = _groups(body.partition("STATS")[2])
        spent = {space: sum(value for key, value in _pairs(group) if key in _NETWORK) for space, group in groups}
        if any(spent.values()):
            found[title.strip()] = spent
    return found


def _groups(stats: str) -> Iterator[tuple[str, str]]:
    """(dataspace, what is printed of it)."""
    parts = _GROUP.split(stats)
    return zip(parts[1::2], parts[2::2], strict=True)


def _summary(text: str) -> dict:
    patterns = {
        "cycles": r"^Cycles: (\S+)",
        "utilization_percent": r"^Utilization: (\S+)%",
        "energy_uj_printed": r"^Energy: (\S+) uJ",
        "area_mm2_printed": r"^Area: (\S+) mm",
        "computes": r"^Computes = (\S+)",
    }
    found = {key: re.search(pattern, text, re.MULTILINE) for key, pattern in patterns.items()}
    result = {key: _number(match[1]) for key, match in found.items() if match}
    total = re.search(r"^(?P<unit>[fp]J)/Compute$.*?^\s+Total\s*= (?P<value>\S+)", text, re.MULTILINE | re.DOTALL)
    if total:
        result["fj_per_compute"] = _number(total["value"]) * (1000 if total["unit"] == "pJ" else 1)
    return result


def _pairs(text: str) -> Iterator[tuple[str, float]]:
    """(key, number) of the lines that say "key : number"."""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            yield match["key"], _number(match["value"])


def _level(body: str) -> dict:
    """One level's block: specs, then figures of the whole, then of every dataspace it keeps."""
    specs, _, stats = body.partition("STATS")
    result: dict = {
        title: {_DATASPACE[key]: value for key, value in _pairs(group) if key in _DATASPACE}
        for title, group in _groups(stats)
    }
    whole = _GROUP.split(stats, maxsplit=1)[0]
    return result | {_LEVEL[key]: value for key, value in _pairs(specs + whole) if key in _LEVEL}


def _compute(body: str) -> dict:
    pairs = dict(_pairs(body))
    result = {_COMPUTE[key]: value for key, value in pairs.items() if key in _COMPUTE}
    if "area_um2" in result:
        result["area_um2"] /= pairs.get("Instances", 1) or 1
    return result


def parse_xml(text: str, dataspaces: Sequence[str]) -> dict:
    """The figures in the text of a `*.map+stats.xml`.

    Args:
        text: Boost's serialisation of timeloop-model's state.
        dataspaces: names of the problem's dataspaces, in its order.

    Raises:
        InvalidInput: it is something else, declares entities, or has another number of dataspaces.
    """
    if "<!ENTITY" in text:
        raise InvalidInput("statistics XML declares entities; it must be what timeloop-model wrote")
    try:
        levels = ElementTree.fromstring(text).findall("./engine/topology_/levels_/item/px")
    except (ElementTree.ParseError, ValueError) as error:
        raise InvalidInput(f"statistics XML cannot be parsed: {error}") from None
    result: dict = {"levels": {}}
    for level in levels:
        name = level.findtext("specs_/LevelSpecs/level_name")
        if name is None:
            raise InvalidInput("statistics XML has a level without a name; it must be what timeloop-model wrote")
        if level.find("stats_") is None:
            result["compute"] = _xml_compute(level)
        else:
            result["levels"][name] = _xml_level(level, name, dataspaces)
    if not result["levels"] or "compute" not in result:
        raise InvalidInput("statistics XML has no levels; it must be what timeloop-model wrote")
    compute = result["compute"]
    result["cycles"] = max(compute["cycles"], *(level["cycles"] for level in result["levels"].values()))
    return result


def _xml_compute(level: ElementTree.Element) -> dict:
    computes = "actual_computes_" if level.find("actual_computes_") is not None else "algorithmic_computes_"
    keys = ("energy_", "area_", "cycles_", computes, "utilized_instances_")
    names = ("energy_pj", "area_um2", "cycles", "computes", "utilized_instances")
    return {name: _xml_number(level, key) for name, key in zip(names, keys, strict=True)}


def _xml_level(level: ElementTree.Element, name: str, dataspaces: Sequence[str]) -> dict:
    columns: dict[str, list[float]] = {}
    for key in _XML:
        items = level.findall(f"stats_/{key}/PerDataSpace/item")
        if len(items) != len(dataspaces):
            raise InvalidInput(
                f"statistics XML has {len(items)} dataspaces at {name}; the problem has {len(dataspaces)}"
            )
        columns["energy_pj_per_instance" if key == "energy" else key] = [_number(item.text or "") for item in items]
    entry: dict = {space: {key: column[i] for key, column in columns.items()} for i, space in enumerate(dataspaces)}
    return entry | {
        "cycles": _xml_number(level, "stats_/cycles"),
        "throttling": _xml_number(level, "stats_/slowdown"),
        "instances": _xml_number(level, "specs_/instances/t_"),
    }


def _xml_number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    if text is None:
        raise InvalidInput(f"statistics XML has no {path}; it must be what timeloop-model wrote")
    return _number(text)


def _number(text: str) -> float:
    """A number, as `int` where it is whole."""
    try:
        value = float(text)
        return int(value) if value == int(value) else value
    except (ValueError, OverflowError):
        raise InvalidInput(f"statistics have {text[:40]!r} where a number must be") from None


def _merged(first: dict, second: dict) -> dict:
    """Both, the second's entries where both have one."""
    merged = dict(first)
    for key, value in second.items():
        merged[key] = _merged(first[key], value) if isinstance(value, dict) and key in first else value
    return merged
