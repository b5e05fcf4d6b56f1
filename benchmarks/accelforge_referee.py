"""Run by a Python 3.12 with AccelForge 1.0.467: its own evaluation of given mappings, and its mapper's answer.

Reads one JSON object from stdin: `machine` as in data/accelforge_optima.json, and `nests`, each with `sizes` (C, M, P,
Q, R, S, stride) and `nodes` (`accelforge_space.Nest.nodes`). Prints the nests with `energy` and `latency`.
"""

import json
import sys
import tempfile
from pathlib import Path

import accelforge

NAMES = {"C": "c", "M": "k", "P": "p", "Q": "q"}
MEMORY = """
  - !Memory
    name: {name}
    size: {bits}
    leak_power: 0
    area: 0
    tensors: {{keep: All}}
    actions:
    - {{name: read, energy: {energy}, throughput: inf, bits_per_action: 16}}
    - {{name: write, energy: {energy}, throughput: inf, bits_per_action: 16}}"""
ARRAY = """
  - !Container
    name: PE
    spatial:
    - {{name: X, fanout: {pe_x}}}
    - {{name: Y, fanout: {pe_y}}}"""
MAC = """
  - !Compute
    name: MAC
    leak_power: 0
    area: 0
    actions:
    - {{name: compute, energy: {MAC}, throughput: 1}}"""


def architecture(machine):
    """The machine in AccelForge's YAML."""
    buffer, register = machine["global_buffer_bytes"] * 8, machine["register_file_bytes"] * 8
    parts = [
        MEMORY.format(name="DRAM", bits="inf", energy=machine["DRAM"]),
        MEMORY.format(name="GlobalBuffer", bits=buffer, energy=machine["GlobalBuffer"]),
        ARRAY.format(**machine),
        MEMORY.format(name="RegisterFile", bits=register, energy=machine["RegisterFile"]),
        MAC.format(**machine),
    ]
    return "arch:\n  nodes:" + "".join(parts)


def workload(sizes):
    """The layer in AccelForge's YAML."""
    step = f"{sizes['stride']}*" if sizes["stride"] > 1 else ""
    bounds = {**{NAMES[dim]: sizes[dim] for dim in NAMES}, "r": sizes["R"], "s": sizes["S"]}
    lines = "".join(f"    - 0 <= {name} < {bound}\n" for name, bound in bounds.items())
    return (
        "workload:\n  bits_per_value: {All: 16}\n  einsums:\n"
        f'  - einsum: "O[k, p, q] = I[c, H: {step}p + r, W: {step}q + s] * F[k, c, r, s]"\n'
        f"    iteration_space_shape:\n{lines}    renames: {{input: I, weight: F, output: O}}\n"
    )


def mapping(nodes):
    """The nest in AccelForge's YAML: loops by the tile inside them; R and S last, whole in every tile."""
    lines = ["- !Storage {tensors: [F, O, I], component: DRAM}"]
    for what, name, tile in nodes:
        if not tile:
            lines.append(f"- !Storage {{tensors: [{name}], component: {what}}}")
        elif what:
            lines.append(
                f"- !Spatial {{rank_variable: {NAMES[name]}, tile_shape: {tile}, name: {what}, component: PE}}"
            )
        else:
            lines.append(f"- !Temporal {{rank_variable: {NAMES[name]}, tile_shape: {tile}}}")
    lines += [f"- !Temporal {{rank_variable: {name}, tile_shape: 1}}" for name in "rs"]
    lines.append("- !Compute {einsum: O, component: MAC}")
    return "mapping:\n  nodes:\n" + "".join(f"  {line}\n" for line in lines)


def main():
    asked = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("arch.yaml", "workload.yaml", "mapping.yaml")]
        for nest in asked["nests"]:
            parts = architecture(asked["machine"]), workload(nest["sizes"]), mapping(nest["nodes"])
            for file, text in zip(files, parts, strict=True):
                file.write_text(text)
            found = accelforge.Spec.from_yaml(*map(str, files)).evaluate_mapping()
            nest |= {"energy": float(found.energy()), "latency": float(found.latency())}
    json.dump(asked["nests"], sys.stdout)


if __name__ == "__main__":
    main()
