"""All that a client says of experiments and runs; prints as JSON what it reads back."""

import json
import math

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag, ViewType
from mlflow.exceptions import MlflowException

client = MlflowClient()
told = {}


def refused(work):
    try:
        work()
    except MlflowException as error:
        return error.error_code
    return "it was taken"


experiment = client.create_experiment("ניסוי", tags={"team": "sky"})
client.set_experiment_tag(experiment, "more", "yes")
found = client.get_experiment_by_name("ניסוי")
told["experiment"] = [found.name, found.tags, found.lifecycle_stage, found.experiment_id == experiment]
told["none"] = client.get_experiment_by_name("nobody's")
told["twice"] = refused(lambda: client.create_experiment("ניסוי"))
told["experiments"] = [one.name for one in client.search_experiments(filter_string="tags.more = 'yes'", order_by=["name DESC"])]

mlflow.set_experiment("ניסוי")
with mlflow.start_run(run_name="日本 ☃", description="said") as begun:
    run = begun.info.run_id
    mlflow.log_params({"depth": 3, "kind": "tree"})
    mlflow.log_param("depth", 3)
    told["param twice"] = refused(lambda: mlflow.log_param("depth", 4))
    for step, value in enumerate((math.nan, math.inf, -math.inf, 1e308, -0.0, 0.25)):
        mlflow.log_metric("loss", value, step=step)
    mlflow.log_metrics({"a/b": 1.0, "c d": 2.0}, step=1)
    mlflow.set_tags({"x": "y", "gone": "soon"})
    client.delete_tag(run, "gone")
    told["no tag"] = refused(lambda: client.delete_tag(run, "gone"))
    with mlflow.start_run(nested=True) as child:
        mlflow.log_metric("loss", 9)
    dataset = Dataset(name="rows", digest="abc", source_type="local", source="{}")
    client.log_inputs(run, [DatasetInput(dataset, [InputTag("mlflow.data.context", "train")])])
whole = client.get_run(run)
told["run"] = [whole.info.run_name, whole.info.status, whole.info.lifecycle_stage, whole.info.end_time >= whole.info.start_time]
told["data"] = [whole.data.params, {key: repr(value) for key, value in whole.data.metrics.items()}, whole.data.tags["x"]]
told["inputs"] = [[one.dataset.name, one.dataset.digest, one.tags[0].value] for one in whole.inputs.dataset_inputs]
told["history"] = [[repr(point.value), point.step] for point in client.get_metric_history(run, "loss")]
told["children"] = [one.info.run_id == child.info.run_id for one in client.search_runs([experiment], f"tags.mlflow.parentRunId = '{run}'")]

batch = [Metric("big", float(number), number, number) for number in range(1000)]
for _ in range(2):
    client.log_batch(run, metrics=batch)
told["batch"] = len(client.get_metric_history(run, "big"))
client.log_batch(run, params=[Param("p", "1")], tags=[RunTag("t", "u")])

for number in range(7):
    with mlflow.start_run():
        mlflow.log_metric("score", number / 10)
        mlflow.log_param("n", number)
pages, token = [], None
while True:
    page = client.search_runs(
        [experiment], "metrics.score >= 0.1 and params.n != '3'", order_by=["metrics.score DESC"], max_results=2, page_token=token
    )
    pages += [one.data.params["n"] for one in page]
    token = page.token
    if not token:
        break
told["pages"] = pages
told["filters"] = [
    len(client.search_runs([experiment], text))
    for text in (
        "attributes.run_name LIKE '日本%'", "dataset.name = 'rows' AND dataset.context = 'train'", "params.`depth` = '3'",
        'tags."x" ILIKE "Y"', f"run_id IN ('{run}', '{child.info.run_id}')", "status = 'FINISHED' AND start_time > 5",
    )
]  # fmt: skip
told["injected"] = refused(lambda: client.search_runs([experiment], "params.a = 'x' OR '1' = '1'"))

client.delete_run(run)
told["deleted"] = [client.get_run(run).info.lifecycle_stage, refused(lambda: client.log_metric(run, "late", 1))]
told["only deleted"] = len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY))
client.restore_run(run)
client.set_terminated(child.info.run_id, "FAILED")
client.update_run(child.info.run_id, name="renamed")
told["updated"] = [client.get_run(child.info.run_id).info.status, client.get_run(child.info.run_id).info.run_name]
client.rename_experiment(experiment, "renamed")
client.delete_experiment(experiment)
told["experiment deleted"] = [client.get_experiment(experiment).lifecycle_stage, refused(lambda: client.create_run(experiment))]
client.restore_experiment(experiment)
told["restored"] = [client.get_experiment(experiment).name, len(client.search_runs([experiment]))]
told["missing"] = refused(lambda: client.get_run("f" * 32))
told["too long"] = refused(lambda: client.set_tag(run, "t" * 251, "v"))
print(json.dumps(told))
