"""Samples under a PyTorch DataLoader, which asks for nothing but a length, an index and an order."""

from __future__ import annotations

import pytest
import torch
from torch.utils.data import DataLoader

from bedplate.core.samples import Sample
from bedplate.storage.backends.samples import FileSamples, of
from bedplate.storage.manifests import FilesShelf
from bedplate.storage.shelf import Save

COUNT = 1_050


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> FileSamples:
    folder = tmp_path_factory.mktemp("torch")
    for number in range(COUNT):
        (folder / "in").mkdir(exist_ok=True)
        (folder / "in" / f"{number:05}").write_bytes(number.to_bytes(8, "little"))
    shelf = FilesShelf(folder / "store")
    return of(shelf.blobs, shelf.save(Save(kind="files", artifact="numbers", value=folder / "in", attempt="a-1")))


def number(sample: Sample) -> int:
    """Decoded in the loader's worker."""
    return int.from_bytes(sample.data, "little")


@pytest.mark.parametrize(("workers", "context"), [(0, None), (2, "fork"), (2, "spawn")])
def test_a_data_loader_reads_each_sample_once_in_the_order_of_the_epoch(samples: FileSamples, workers: int, context: str | None) -> None:
    """Forked workers open files of their own; spawned ones are sent the samples."""
    order = samples.order(seed=3, epoch=1)
    loader = DataLoader(samples.map(number), batch_size=64, sampler=order, num_workers=workers, multiprocessing_context=context)
    found = torch.cat(list(loader)).tolist()
    assert found == list(order)
    assert sorted(found) == list(range(COUNT))
