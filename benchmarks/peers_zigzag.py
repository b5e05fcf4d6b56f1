"""Run by peers.py inside zigzag-dse's own environment: map layers with LOMA, for energy x time.

Reads {"machine", "layers", "lpf_limit", "spatial"} as JSON from stdin; writes {"layers"} to
stdout: for each layer its own energy and latency, the seconds it took, the temporal loops of each operand's
levels (innermost first), their energies and the spatial loops; or the error that it ended in.
"""

import contextlib
import io
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

import yaml
from zigzag.api import get_hardware_performance_zigzag

WORD = 16
WIDE = 1024 * WORD  # a port that never limits; accesses are counted by the word all the same


def memory(words, pj, bandwidth, shared):
    """A memory for all three operands; `pj` a word, `bandwidth` in bits a cycle each way."""
    ways = [("r_port_1", "read", ("tl", "th")), ("w_port_1", "write", ("fh", "fl"))]

    def port(name, kind, directions):
        # inputs and weights only go down; outputs go both ways
        allowed = {"I1": {"tl", "fh"}, "I2": {"tl", "fh"}, "O": {"tl", "th", "fh", "fl"}}
        pairs = [f"{operand}, {way}" for operand in allowed for way in directions if way in allowed[operand]]
        return {
            "name": name,
            "type": kind,
            "bandwidth_min": WORD,
            "bandwidth_max": bandwidth,
            "allocation": pairs,
        }

    each = pj * bandwidth / WORD  # an access is of the port's whole width, and a word counts as its share of one
    return {
        "size": words * WORD,
        "r_cost": float(each),
        "w_cost": float(each),
        "area": 0.0,
        "latency": 1,
        "operands": ["I1", "I2", "O"],
        "ports": [port(*way) for way in ways],
        "served_dimensions": ["D1", "D2"] if shared else [],
    }


def accelerator(machine):
    """`machine` in their terms: register files, a shared buffer, and memory of limited bandwidth."""
    pj = machine["pj"]
    return {
        "name": "fixed",
        "memories": {
            "rf": memory(machine["rf_words"], pj["rf"], WIDE, shared=False),
            "glb": memory(machine["glb_words"], pj["glb"], WIDE, shared=True),
            "dram": memory(2**32, pj["dram"], machine["dram_words_per_cycle"] * WORD, shared=True),
        },
        "operational_array": {
            "unit_energy": float(pj["mac"]),
            "unit_area": 0.0,
            "dimensions": ["D1", "D2"],
            "sizes": [machine["pe_x"], machine["pe_y"]],
        },
    }


def workload(layer):
    """One convolution in their terms."""
    stride = layer["stride"]
    sizes = [1, 1, layer["M"], layer["C"], layer["P"], layer["Q"], layer["R"], layer["S"]]
    return {
        "id": 0,
        "name": layer["name"],
        "operator_type": "Conv",
        "equation": "O[b][g][k][oy][ox]+=W[g][k][c][fy][fx]*I[b][g][c][iy][ix]",
        "dimension_relations": [f"ix={stride}*ox+1*fx", f"iy={stride}*oy+1*fy"],
        "loop_dims": ["B", "G", "K", "C", "OY", "OX", "FY", "FX"],
        "loop_sizes": sizes,
        "operand_precision": {"W": WORD, "I": WORD, "O": WORD, "O_final": WORD},
        "operand_source": {"I": 0, "W": 0},
    }


def mapping(spatial):
    """What they are told of the mapping: which operand is which, and the spatial loops unless they choose them."""
    told = {"name": "default", "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"}}
    return [told | ({"spatial_mapping": spatial} if spatial else {})]


def search(layer, asked, folder):
    """The mapping that they find for one layer."""
    files = {"machine.yaml": accelerator(asked["machine"]), "mapping.yaml": mapping(asked["spatial"])}
    for name, content in files.items():
        (folder / name).write_text(yaml.safe_dump(content, sort_keys=False))  # memories innermost first
    energy, cycles, found = get_hardware_performance_zigzag(
        workload=[workload(layer)],
        accelerator=str(folder / "machine.yaml"),
        mapping=str(folder / "mapping.yaml"),
        opt="EDP",
        temporal_mapping_type="uneven",
        lpf_limit=asked["lpf_limit"],
        dump_folder=str(folder),
        pickle_filename=str(folder / "found.pickle"),
        loma_show_progress_bar=False,
    )
    evaluation = found[0][1][0][0]
    temporal = evaluation.temporal_mapping.mapping_dic_origin
    return {
        "energy": float(energy),
        "cycles": float(cycles),
        "memories": {
            str(operand): [float(pj) for pj in levels] for operand, levels in evaluation.mem_energy_breakdown.items()
        },
        "temporal": {
            str(operand): [[[str(dim), int(size)] for dim, size in level] for level in levels]
            for operand, levels in temporal.items()
        },
        "spatial": {
            str(axis): [[str(dim), float(size)] for dim, size in unrolled.items()]
            for axis, unrolled in evaluation.layer.spatial_mapping.items()
        },
    }


def main():
    asked = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    found = []
    for layer in asked["layers"]:
        wall, cpu = time.perf_counter(), time.process_time()
        noise = io.StringIO()  # a bar and a log line a layer
        with (
            tempfile.TemporaryDirectory() as folder,
            contextlib.redirect_stderr(noise),
            contextlib.redirect_stdout(noise),
        ):
            try:
                result = search(layer, asked, Path(folder))
            except Exception as error:  # whatever ends their search is part of what we report
                result = {"error": f"{type(error).__name__}: {error}".splitlines()[0]}
        seconds = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        found.append({"name": layer["name"], **seconds, **result})
    json.dump({"layers": found}, sys.stdout)


if __name__ == "__main__":
    main()
