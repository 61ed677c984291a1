"""A training script of one framework (its name is the argument) with autologging on. Prints how its run ended and what was logged."""

from __future__ import annotations

import json
import logging
import sys
import tempfile
import warnings
from importlib import import_module
from typing import Any

import mlflow
import numpy as np
from mlflow import MlflowClient

warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)
rng = np.random.default_rng(0)
x = rng.normal(size=(120, 3))
y = (x[:, 0] > 0).astype(int)


def sklearn() -> bool:
    library = import_module("sklearn.linear_model")
    mlflow.sklearn.autolog()
    model = library.LogisticRegression().fit(x, y)
    return bool((mlflow.sklearn.load_model(logged()).predict(x) == model.predict(x)).all())


def lightgbm() -> bool:
    library = import_module("lightgbm")
    mlflow.lightgbm.autolog()
    given = {"objective": "binary", "verbosity": -1, "num_threads": 1}
    data = library.Dataset(x, y)
    model = library.train(given, data, 5, valid_sets=[data])
    return bool(np.allclose(mlflow.lightgbm.load_model(logged()).predict(x), model.predict(x)))


def xgboost() -> bool:
    library = import_module("xgboost")
    mlflow.xgboost.autolog()
    data = library.DMatrix(x, y)
    model = library.train({"objective": "binary:logistic", "nthread": 1}, data, 5, evals=[(data, "train")])
    return bool(np.allclose(mlflow.xgboost.load_model(logged()).predict(data), model.predict(data)))


def lightning() -> bool:
    library, torch = import_module("lightning.pytorch"), import_module("torch")

    class Net(library.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(3, 1)

        def forward(self, given: Any) -> Any:
            return self.layer(given)

        def training_step(self, batch: Any, _place: int) -> Any:
            loss = torch.nn.functional.mse_loss(self(batch[0]), batch[1])
            self.log("loss", loss, on_epoch=True)
            return loss

        def configure_optimizers(self) -> Any:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    mlflow.pytorch.autolog(checkpoint=False, log_models=False)
    rows = torch.utils.data.TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32))
    net = Net()
    trainer = library.Trainer(max_epochs=2, enable_progress_bar=False, logger=False, enable_checkpointing=False, accelerator="cpu")
    with mlflow.start_run():
        trainer.fit(net, torch.utils.data.DataLoader(rows, batch_size=40))
        plain = torch.nn.Sequential(net.layer)
        where = {"name": "model"} if int(mlflow.__version__[0]) >= 3 else {"artifact_path": "model"}
        more = {"serialization_format": "pickle"} if int(mlflow.__version__[0]) >= 3 else {}
        info = mlflow.pytorch.log_model(plain, **where, pip_requirements=["torch"], **more)
    back = mlflow.pytorch.load_model(info.model_uri)
    return bool(torch.equal(back(rows.tensors[0]), plain(rows.tensors[0])))


def transformers() -> bool:
    torch, library = import_module("torch"), import_module("transformers")
    shape = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    net = library.BertForSequenceClassification(library.BertConfig(**shape, max_position_embeddings=16))
    rows = [{"input_ids": torch.arange(8) + place % 40, "labels": torch.tensor(place % 2)} for place in range(16)]
    folder = tempfile.mkdtemp()
    given = library.TrainingArguments(
        output_dir=folder, num_train_epochs=1, logging_steps=1, report_to=["mlflow"], save_strategy="no", use_cpu=True
    )
    with mlflow.start_run():
        library.Trainer(model=net, args=given, train_dataset=rows).train()
        net.save_pretrained(f"{folder}/net")
        mlflow.log_artifacts(f"{folder}/net", "net")
    fetched = mlflow.artifacts.download_artifacts(run_id=run().info.run_id, artifact_path="net")
    back = library.BertForSequenceClassification.from_pretrained(fetched).eval()
    ids = torch.arange(8)[None]
    return bool(torch.equal(back(ids).logits, net.eval()(ids).logits))


def run() -> Any:
    return MlflowClient().get_run(mlflow.last_active_run().info.run_id)


def logged() -> str:
    """The address of the model that autologging logged."""
    if int(mlflow.__version__[0]) >= 3:
        return f"models:/{run().outputs.model_outputs[0].model_id}"
    return f"runs:/{run().info.run_id}/model"


same = {"sklearn": sklearn, "lightgbm": lightgbm, "xgboost": xgboost, "lightning": lightning, "transformers": transformers}[sys.argv[1]]()
found = run()
print(json.dumps({"status": found.info.status, "params": len(found.data.params), "metrics": len(found.data.metrics), "same": same}))
