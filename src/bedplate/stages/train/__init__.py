"""Train: make a Model from tables and features, and say in a card what it is and how it came to be."""

from .card import card
from .facts import Facts, gather
from .handler import Train

__all__ = ["Facts", "Train", "card", "gather"]
