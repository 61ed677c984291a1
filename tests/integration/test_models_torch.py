"""PyTorch models: weights as safetensors, the class by name, exported programs without pickles, mistakes named."""

from __future__ import annotations

import zipfile

import numpy as np
import polars as pl
import pytest
import torch
from torch import nn

from bedplate import Model
from bedplate.core.errors import UserError
from bedplate.storage import class_code
from bedplate.storage.backends import torch_model
from bedplate.storage.models import ModelShelf
from bedplate.storage.shelf import Save


class Net(nn.Module):
    def __init__(self, hidden: int, dropout: float = 0.5) -> None:
        super().__init__()
        self.hidden = hidden
        self.body = nn.Sequential(nn.Linear(2, hidden), nn.BatchNorm1d(hidden), nn.Dropout(dropout), nn.Linear(hidden, 1))

    def forward(self, x):
        return torch.sigmoid(self.body(x))


class Tied(nn.Module):
    """Two names for one tensor, and inputs by name: a category's embedding and a number."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.carriers = nn.Embedding(size + 1, 3)
        self.same = self.carriers
        self.out = nn.Linear(4, 2)

    def forward(self, carrier, distance):
        return self.out(torch.cat([self.carriers(carrier) + self.same(carrier), distance[:, None].float()], 1))


class Forgetful(nn.Module):
    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.times = scale
        self.out = nn.Linear(2, 1)

    def forward(self, x):
        return self.out(x) * self.times


@pytest.fixture
def shelf(tmp_path):
    return ModelShelf(tmp_path)


def save(shelf, model):
    return shelf.save(Save(kind="model", artifact="late", value=model, attempt="a-1"))


def table(rows: int = 200) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return pl.DataFrame({"a": rng.random(rows), "b": rng.random(rows)})


def tensor(x: pl.DataFrame) -> torch.Tensor:
    return torch.from_numpy(x.to_numpy().astype(np.float32))


def test_a_module_predicts_as_trained_and_stays_in_training(shelf):
    """Arguments come from attributes of the same name; the stored module is in evaluation, the one in hand is left as it was."""
    torch.manual_seed(0)
    net, x = Net(8), table()
    net(tensor(x))  # moves the running mean
    draft = save(shelf, Model(net, example=x))
    assert net.training
    loaded = shelf.load(draft, "model", None)
    expected = net.eval()(tensor(x)).detach().numpy()[:, 0].astype(float)
    assert np.array_equal(loaded.predict(x), expected)
    assert loaded.predict(x.row(7, named=True)) == pytest.approx(expected[7], abs=1e-6)
    assert draft.digest == save(shelf, Model(net, example=x)).digest
    shelf.verify(draft)


def test_inputs_by_name_codes_for_categories_and_tied_weights(shelf):
    """An unknown category is the number of categories, which the embedding has a row for."""
    torch.manual_seed(0)
    x = pl.DataFrame({"carrier": pl.Series(["UA", "AA", None], dtype=pl.Enum(["UA", "AA"])), "distance": [0.1, 0.2, 0.3]})
    net = Tied(2)
    loaded = shelf.load(save(shelf, Model(net, example=x, arguments={"size": 2})), "model", None)
    expected = net(torch.tensor([0, 1, 2]), torch.tensor([0.1, 0.2, 0.3])).detach().numpy()
    assert np.allclose(loaded.predict(x), expected, atol=1e-7)
    assert np.array_equal(loaded.predict({"carrier": "ZZ", "distance": 0.3}), loaded.predict(x)[2])


def test_what_cannot_be_made_again_is_refused_when_it_is_stored(shelf):
    """Arguments that nobody knows, that change the answer, or that no class takes; a class that has no name."""
    x = table()
    with pytest.raises(UserError, match="nothing says which 'size'"):
        save(shelf, Model(Tied(2), example=pl.DataFrame({"carrier": pl.Series(["UA"], dtype=pl.Enum(["UA", "AA"])), "distance": [0.1]})))
    with pytest.raises(UserError, match="answers otherwise"):
        save(shelf, Model(Forgetful(3.0), example=x))
    assert save(shelf, Model(Forgetful(3.0), example=x, arguments={"scale": 3.0})).digest
    with pytest.raises(UserError, match="cannot be made again"):
        save(shelf, Model(Net(8), example=x, arguments={"hidden": 9}))
    with pytest.raises(UserError, match="cannot be made again"):
        save(shelf, Model(nn.Sequential(nn.Linear(2, 1)), example=x))

    class Hidden(Net):
        pass

    with pytest.raises(UserError, match="cannot be found again"):
        save(shelf, Model(Hidden(2), example=x))


def test_a_class_that_changed_is_refused(shelf, monkeypatch):
    """Its predictions would not be those that were validated."""
    draft = save(shelf, Model(Net(4), example=table()))
    monkeypatch.setattr(Net, "forward", Forgetful.forward)
    with pytest.raises(UserError, match="has changed since"):
        shelf.load(draft, "model", None)
    assert class_code.named(nn.Linear).code == ""


def test_an_exported_program_needs_no_class_and_holds_no_pickle(shelf, tmp_path):
    """Exported again it is the same version; its sample inputs, which PyTorch pickles, are not kept; a program that has them is refused."""
    torch.manual_seed(0)
    x = table()
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    dynamic = ({0: torch.export.Dim("rows")},)
    first = torch.export.export(net, (torch.zeros(4, 2),), dynamic_shapes=dynamic)
    draft = save(shelf, Model(first, example=x))
    loaded = shelf.load(draft, "model", None)
    assert np.allclose(loaded.predict(x), net(tensor(x)).detach().numpy(), atol=1e-6)
    assert draft.digest == save(shelf, Model(torch.export.export(net, (torch.zeros(4, 2),), dynamic_shapes=dynamic), example=x)).digest
    torch.export.save(first, tmp_path / "pickled.pt2")
    with zipfile.ZipFile(tmp_path / "pickled.pt2") as archive:
        assert any(one.filename.endswith(".pt") and one.file_size for one in archive.infolist())
    with pytest.raises(UserError, match="holds something pickled"):
        torch_model.load_program(tmp_path / "pickled.pt2")
