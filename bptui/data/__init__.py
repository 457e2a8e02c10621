"""Data: sources, readers, generators, scaling, seeded splits and batches."""

from __future__ import annotations

from bptui.data.batches import Batches
from bptui.data.dataset import DataSet, MappedRows, Part
from bptui.data.errors import DataError
from bptui.data.loading import load
from bptui.data.places import search_path
from bptui.data.rollouts import Rollouts
from bptui.data.scaling import Scaler

__all__ = ["Batches", "DataError", "DataSet", "MappedRows", "Part", "Rollouts", "Scaler", "load", "search_path"]
