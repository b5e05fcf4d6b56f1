"""Supernets: networks with shared weights, trained and searched by gradients with dlco's costs in the loss."""

from dlco.nas.supernet.choices import Epoch, Searched, SearchTraining
from dlco.nas.supernet.costs import OperatorCosts, operator_costs
from dlco.nas.supernet.digits import DigitsNetwork, DigitsSupernet
from dlco.nas.supernet.graph import GraphNetwork
from dlco.nas.supernet.images import Images, digit_images, percent_of, standard_error
from dlco.nas.supernet.search import Supernet, search_supernet
from dlco.nas.supernet.training import train_alone, train_shared

__all__ = [
    "DigitsNetwork",
    "DigitsSupernet",
    "Epoch",
    "GraphNetwork",
    "Images",
    "OperatorCosts",
    "SearchTraining",
    "Searched",
    "Supernet",
    "digit_images",
    "operator_costs",
    "percent_of",
    "search_supernet",
    "standard_error",
    "train_alone",
    "train_shared",
]
