from dataclasses import replace

import pytest
import torch

from dlco.errors import InvalidInput, InvalidMapping
from dlco.mapping import MappingBatch


@pytest.mark.parametrize(
    ("change", "said", "level"),
    [
        ({"temporal": ((1, 1, 1, 1),)}, "temporal must have 3 rows .levels. of 4 factors", None),
        ({"spatial_x": ((1,), (1,), (1,))}, "spatial_x must have 3 rows .levels. of 4 factors", None),
        (
            {"temporal": ((2, 1, 2, 3), (1, 0, 2, 1), (1, 1, 2, 1))},
            "temporal factor of M at Buffer is 0; it must be an integer of at least 1",
            "Buffer",
        ),
        ({"order": (("C", "M", "P", "R"),)}, "order must have 3 rows", None),
        (
            {"spatial_order": (("C", "M", "P", "R"), ("C", "M", "P", "P"), ("C", "M", "P", "R"))},
            "spatial_order at Buffer is 'CMPP'; it must list each of C, M, P, R once",
            "Buffer",
        ),
        ({"bypass": ()}, "bypass must have 3 entries", None),
    ],
)
def test_a_malformed_mapping_is_refused(mapping, change, said, level):
    with pytest.raises(InvalidMapping, match=said) as caught:
        replace(mapping, **change)
    assert caught.value.level == level


def test_a_mapping_as_tensors_has_no_batch_dimension(mapping):
    batch = mapping.batch(torch.float32)
    assert batch.batch_shape == ()
    assert batch.factors.dtype == torch.float32
    assert batch.factors.shape == (3, 3, 4)
    assert batch.factors[1].tolist() == [[1, 3, 2, 1], [1, 2, 1, 1], [2, 1, 1, 1]]
    assert batch.order[0].tolist() == [3, 0, 2, 1]
    assert batch.mapping() == mapping


def test_a_batch_gives_back_its_mappings(mapping):
    other = replace(mapping, order=mapping.order[::-1])
    batch = MappingBatch.stack([mapping, other])
    assert batch.batch_shape == (2,)
    assert [batch.mapping(i) for i in range(2)] == [mapping, other]
    assert batch.select(slice(1, 2)).mapping(0) == other


def test_only_mappings_of_one_hierarchy_make_a_batch(mapping):
    with pytest.raises(InvalidInput, match="mappings is empty"):
        MappingBatch.stack([])
    with pytest.raises(InvalidInput, match="must share dimensions, levels and bypass"):
        MappingBatch.stack([mapping, replace(mapping, levels=("A", "B", "C"))])
