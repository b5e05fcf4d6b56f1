"""The recorded cases, read once."""

import gzip
import json
from pathlib import Path

import pytest

DATA = Path(__file__).parents[1] / "data" / "timeloop"

ARCH = """
architecture:
  version: 0.3
  subtree:
  - name: system
    local:
    - name: DRAM
      class: DRAM
      attributes: {width: 64, datawidth: 8}
    - name: Buffer
      class: SRAM
      attributes: {depth: 128, width: 32, datawidth: 8, read_bandwidth: 4}
    subtree:
    - name: PE[0..11]
      local:
      - name: Registers
        class: regfile
        attributes: {entries: 16, datawidth: 8, meshX: 4}
      - name: MAC
        class: intmac
        attributes: {datawidth: 8, meshX: 4}
"""
PROBLEM = """
problem:
  shape:
    name: Conv1D
    dimensions: [C, K, R, P]
    coefficients:
    - {name: Stride, default: 1}
    data_spaces:
    - {name: Weights, projection: [[[C]], [[K]], [[R]]]}
    - {name: Inputs, projection: [[[C]], [[R], [P, Stride]]]}
    - {name: Outputs, projection: [[[K]], [[P]]], read_write: true}
  instance: {C: 4, K: 6, R: 3, P: 8, Stride: 2}
"""
MAPPING = """
mapping:
- {target: DRAM, type: temporal, factors: C=2 K=1 R=1 P=8, permutation: PCKR}
- {target: Buffer, type: temporal, factors: C=1 K=2 R=1 P=1, permutation: KCRP}
- {target: Buffer, type: spatial, factors: C=2 K=3 R=1 P=1, permutation: CKRP, split: 1}
- {target: Buffer, type: bypass, keep: [Inputs, Outputs], bypass: [Weights]}
- {target: Registers, type: temporal, factors: C=1 K=1 R=3 P=1, permutation: RCKP}
"""


@pytest.fixture(scope="session")
def data() -> Path:
    return DATA


def _cases(file: str) -> list[dict]:
    with gzip.open(DATA / file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def cases() -> list[dict]:
    return _cases("cases.jsonl.gz")


@pytest.fixture(scope="session")
def cases_without_links() -> list[dict]:
    return _cases("cases_no_link_transfers.jsonl.gz")


@pytest.fixture
def arch() -> str:
    return ARCH


@pytest.fixture
def problem() -> str:
    return PROBLEM


@pytest.fixture
def mapping() -> str:
    return MAPPING
