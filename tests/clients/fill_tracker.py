"""Fills a tracker with everything that can be brought over; prints what it has as JSON. Its one word is the tracker's address."""

import json
import math
import pathlib
import sys
import tempfile

import mlflow
from mlflow import MlflowClient

mlflow.set_tracking_uri(sys.argv[1])
client = MlflowClient()
experiment = client.create_experiment("flights", tags={"team": "air"})
runs = []
for number in range(3):
    run = client.create_run(experiment, tags={"n": str(number), "mlflow.user": "ann"}, run_name=f"run {number} ع")
    key = run.info.run_id
    runs.append(key)
    client.log_param(key, "rate", 0.1 * number)
    client.log_param(key, "nest/ed", "x\ny")
    for step in range(40):
        client.log_metric(key, "loss", 1 / (step + 1), step=step, timestamp=1_700_000_000_000 + step)
    client.log_metric(key, "odd", math.nan)
    client.log_metric(key, "low", -1e-300, step=-3)
    with tempfile.TemporaryDirectory() as folder:
        top = pathlib.Path(folder)
        (top / "model").mkdir()
        (top / "model" / "MLmodel").write_text("flavors: {}\n")
        (top / "model" / "weights.pkl").write_bytes(b"\x80\x04K\x01." * 50)
        (top / "a b.txt").write_text("hello")
        client.log_artifacts(key, folder)
    client.set_terminated(key, ["FINISHED", "FAILED", "KILLED"][number])
    if number == 0:
        client.create_registered_model("late", tags={"a": "b"}, description="late flights")
    client.create_model_version("late", f"{run.info.artifact_uri}/model", run_id=key, tags={"n": str(number)}, description=f"v{number}")
client.delete_model_version("late", "2")
client.set_registered_model_alias("late", "champion", "3")
client.transition_model_version_stage("late", "1", "Production")
gone = client.create_run(experiment)
client.delete_run(gone.info.run_id)
runs.append(gone.info.run_id)
client.delete_experiment(client.create_experiment("old"))
logged = ""
if hasattr(client, "create_logged_model"):
    run = client.create_run(experiment)
    runs.append(run.info.run_id)
    model = client.create_logged_model(experiment, "net", run.info.run_id, tags={"k": "v"}, params={"p": "1"}, model_type="agent")
    logged = model.model_id
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "MLmodel").write_text("flavors: {}\n")
        client.log_model_artifacts(logged, folder)
    client.finalize_logged_model(logged, "READY")
    client.log_metric(run.info.run_id, "acc", 0.5, step=1, model_id=logged)
    client.create_model_version("late", f"models:/{logged}", run_id=run.info.run_id, model_id=logged)
    client.set_terminated(run.info.run_id)
print(json.dumps({"experiment": experiment, "runs": runs, "logged": logged}))
