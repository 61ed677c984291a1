"""Tracking: what trackers know, a small class for each thing, as `catalog.tracking.files` and so on."""

from __future__ import annotations

from bedplate.catalog.database import Database

from .compared import Compared
from .curves import Curves
from .datasets import Datasets
from .details import Details
from .evaluation import Evaluations
from .experiments import Experiments
from .files import Files
from .gone import Gone
from .logged import LoggedModels
from .overview import Overview
from .registry import Registry
from .registry_search import RegistrySearch
from .runs import TrackedRuns
from .samples import Samples
from .search import Search


class Tracking:
    """The classes of this room over one database."""

    def __init__(self, database: Database) -> None:
        self.experiments = Experiments(database)
        self.runs = TrackedRuns(database)
        self.curves = Curves(database)
        self.samples = Samples(database)
        self.compared = Compared(database)
        self.details = Details(database)
        self.search = Search(database)
        self.overview = Overview(database)
        self.datasets = Datasets(database)
        self.evaluations = Evaluations(database)
        self.files = Files(database)
        self.gone = Gone(database)
        self.registry = Registry(database)
        self.registry_search = RegistrySearch(database)
        self.logged = LoggedModels(database)
