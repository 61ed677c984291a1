"""Log so many points of a metric one by one, and in batches; print which run. Words: name of the metric, points, points of a batch."""

import json
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

name, count, batch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
client = MlflowClient()
with mlflow.start_run() as begun:
    for start in range(0, count, batch):
        points = [Metric(name, float(number), 1000 + number, number) for number in range(start, min(start + batch, count))]
        if batch == 1:
            client.log_metric(begun.info.run_id, name, points[0].value, points[0].timestamp, points[0].step)
        else:
            client.log_batch(begun.info.run_id, metrics=points)
print(json.dumps(begun.info.run_id))
