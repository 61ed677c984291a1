"""Models of several frameworks, logged, registered and loaded back as scripts do it; then the registry itself. Prints what it saw."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from typing import Any

import lightgbm
import mlflow
import numpy as np
import pandas as pd
import torch
import xgboost
from mlflow import MlflowClient
from skl2onnx import to_onnx
from sklearn.linear_model import LogisticRegression

warnings.filterwarnings("ignore")
client = MlflowClient()
IS_3 = int(mlflow.__version__.split(".")[0]) >= 3
seen: dict[str, Any] = {}
x = pd.DataFrame(np.random.default_rng(0).normal(size=(200, 3)), columns=["a", "b", "c"])
y = (x["a"] > 0).astype(int)
floats = x.to_numpy(dtype="float32")
signed = mlflow.models.infer_signature(x, y)
named: dict[str, Any] = {"name": "model"} if IS_3 else {"artifact_path": "model"}
named["pip_requirements"] = ["numpy"]
pickled = {"serialization_format": "cloudpickle"} if IS_3 else {}
mlflow.set_experiment("models")


def of(name: str, flavour: Any, model: Any, predict: Callable[[Any], Any], **more: Any) -> None:
    """Log, register, load back both ways, compare."""
    with mlflow.start_run():
        logged = flavour.log_model(model, **named, registered_model_name=name, **more)
    (version,) = client.search_model_versions(f"name = '{name}'")
    wanted = predict(model)
    same = [np.allclose(wanted, predict(flavour.load_model(uri))) for uri in (f"models:/{name}/{version.version}", logged.model_uri)]
    seen[name] = [str(version.version), version.status, "cannot be served" in (version.status_message or ""), *same]


net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
shape = mlflow.models.infer_signature(floats, np.zeros((2, 1), "float32"))
forest = to_onnx(LogisticRegression().fit(floats, y), floats[:1], options={"zipmap": False})
of("linear", mlflow.sklearn, LogisticRegression().fit(x, y), lambda m: m.predict(x), signature=signed, **pickled)
booster = lightgbm.train({"verbosity": -1, "objective": "binary", "num_threads": 1}, lightgbm.Dataset(x, y), 5)
of("trees", mlflow.lightgbm, booster, lambda m: m.predict(x), signature=signed)
of(
    "boosted",
    mlflow.xgboost,
    xgboost.XGBClassifier(n_estimators=5, n_jobs=1).fit(x, y),
    lambda m: m.predict_proba(x)[:, 1],
    signature=signed,
)
of("net", mlflow.pytorch, net, lambda m: m(torch.tensor(floats)).detach().numpy(), signature=shape,
   **({"serialization_format": "pickle"} if IS_3 else {}))  # fmt: skip
of("open", mlflow.onnx, forest, lambda m: [len(m.SerializeToString())], signature=shape, save_as_external_data=False)
seen["pyfunc"] = bool(np.allclose(mlflow.pyfunc.load_model("models:/trees/1").predict(x), booster.predict(x)))

client.set_registered_model_alias("trees", "best", "1")
seen["alias"] = [
    str(client.get_model_version_by_alias("trees", "best").version),
    dict(client.get_registered_model("trees").aliases)["best"],
]
mlflow.lightgbm.load_model("models:/trees@best")
client.set_registered_model_tag("trees", "team", "sky")
client.set_model_version_tag("trees", "1", "k", "v")
client.update_registered_model("trees", "a forest")
client.update_model_version("trees", "1", "the first")
found = client.get_model_version("trees", "1")
seen["said"] = [client.get_registered_model("trees").description, found.description, found.tags["k"]]
client.transition_model_version_stage("trees", "1", "Staging")
seen["stage"] = [one.current_stage for one in client.get_latest_versions("trees", ["Staging"])]
seen["models"] = [one.name for one in client.search_registered_models("name LIKE '%e%'", order_by=["name DESC"])]
seen["tagged"] = [[one.name for one in client.search_registered_models("tags.team = 'sky'")],
                  [one.name for one in client.search_model_versions("tags.k = 'v'")]]  # fmt: skip
seen["of run"] = [one.name for one in client.search_model_versions(f"run_id = '{found.run_id}'")]
client.copy_model_version("models:/trees/1", "copied")
client.rename_registered_model("copied", "renamed")
seen["copied"] = bool(np.allclose(mlflow.lightgbm.load_model("models:/renamed/1").predict(x), booster.predict(x)))
client.delete_model_version("renamed", "1")
client.delete_registered_model("renamed")


def refused(work: Callable[[], Any]) -> str:
    try:
        work()
    except mlflow.exceptions.MlflowException as error:
        return str(error.error_code)
    return "taken"


seen["refused"] = [
    refused(lambda: client.delete_registered_model("trees")), refused(lambda: client.delete_model_version("trees", "1")),
    refused(lambda: client.get_registered_model("renamed")), refused(lambda: client.create_registered_model("trees")),
    refused(lambda: client.create_model_version("trees", "file:///etc")), refused(lambda: client.create_registered_model("../x")),
]  # fmt: skip
client.delete_registered_model_alias("trees", "best")
seen["no alias"] = refused(lambda: client.get_model_version_by_alias("trees", "best"))
if IS_3:
    model = mlflow.search_logged_models(filter_string="name = 'model'", order_by=[{"field_name": "creation_time", "ascending": True}],
                                        output_format="list")[0]  # fmt: skip
    mlflow.set_logged_model_tags(model.model_id, {"q": "1"})
    with mlflow.start_run():
        mlflow.log_metric("auc", 0.5, model_id=model.model_id)
        mlflow.log_metric("auc", 0.7, step=1, model_id=model.model_id)
    best = mlflow.search_logged_models(filter_string="metrics.auc > 0.6", output_format="list")
    told = mlflow.get_logged_model(model.model_id)
    gone = mlflow.create_external_model(name="elsewhere")
    client.delete_logged_model(gone.model_id)
    seen["logged"] = [
        str(model.status.value),
        told.tags["q"],
        [one.value for one in told.metrics],
        [one.model_id == model.model_id for one in best],
    ]
    mlflow.genai.register_prompt(name="greeting", template="Say hello to {{name}}")
    seen["prompt"] = mlflow.genai.load_prompt("prompts:/greeting/1").format(name="Ann")
print(json.dumps(seen))
