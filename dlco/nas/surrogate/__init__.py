"""BOSHNAS and BOSHCODE: search by gradient steps on the inputs of a surrogate that knows what it does not know."""

from dlco.nas.surrogate.boshnas import NetworkSearch, boshnas
from dlco.nas.surrogate.proposer import PUBLISHED, Settings

__all__ = ["PUBLISHED", "NetworkSearch", "Settings", "boshnas"]
