"""What a client of MLflow 1.30 says and reads back; print whether each was as it should be. No words."""

import json
import tempfile
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

MODEL = "artifact_path: model\nflavors:\n  python_function:\n    loader_module: nothing\n"
client = MlflowClient()
experiment = mlflow.set_experiment("years old")
with mlflow.start_run(run_name="früher") as begun, tempfile.TemporaryDirectory() as folder:
    mlflow.log_param("a", 1)
    mlflow.log_params({"b": 2, "c": "x"})
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metrics({"none": float("nan"), "n": 2.0})
    mlflow.set_tags({"t": "u"})
    model = Path(folder) / "model"
    model.mkdir()
    (model / "MLmodel").write_text(MODEL)
    mlflow.log_artifacts(str(model), "model")
    mlflow.log_text("text", "a/b.txt")
run = begun.info.run_id
read = client.get_run(run)
said = {
    "params": read.data.params == {"a": "1", "b": "2", "c": "x"},
    "metrics": (read.data.metrics["loss"], read.data.metrics["n"]) == (0.05, 2),
    "history": [point.step for point in client.get_metric_history(run, "loss")] == list(range(20)),
    "files": sorted(file.path for file in client.list_artifacts(run)) == ["a", "model"],
    "found": [one.info.run_id for one in client.search_runs([experiment.experiment_id], "params.a = '1' and metrics.loss < 0.1")] == [run],
}
with tempfile.TemporaryDirectory() as folder:
    said["download"] = Path(client.download_artifacts(run, "model/MLmodel", folder)).read_text() == MODEL
client.create_registered_model("old")
version = client.create_model_version("old", f"{read.info.artifact_uri}/model", run)
client.transition_model_version_stage("old", version.version, "Production")
client.set_model_version_tag("old", version.version, "k", "v")
client.update_model_version("old", version.version, "words")
said["ready"] = client.get_model_version("old", version.version).status == "READY"
said["stages"] = [one.version for one in client.get_latest_versions("old", ["Production"])] == ["1"]
said["models"] = [one.name for one in client.search_registered_models("name = 'old'")] == ["old"]
client.rename_registered_model("old", "older")
client.delete_model_version("older", "1")
client.delete_registered_model("older")
client.set_terminated(run, "FAILED")
said["status"] = client.get_run(run).info.status == "FAILED"
try:
    client.log_param(run, "a", 2)
except MlflowException as error:
    said["refused"] = "INVALID_PARAMETER_VALUE" in str(error)
print(json.dumps(said))
