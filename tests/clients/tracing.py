"""What a client says of traces, by `@mlflow.trace` and by hand; prints as JSON what it reads back."""

import contextlib
import json

import mlflow
from mlflow import MlflowClient

client = MlflowClient()
IS_3 = mlflow.__version__.startswith("3.")
told = {"line": mlflow.__version__.partition(".")[0]}
experiment = mlflow.set_experiment("traced").experiment_id


@mlflow.trace(span_type="LLM")
def answer(x, y):
    with mlflow.start_span("inner") as span:
        span.set_inputs({"x": x})
        span.set_outputs([1, 2])
    if x == 9:
        raise ValueError("not nine")
    return x + y


def flushed():
    if hasattr(mlflow, "flush_trace_async_logging"):
        with contextlib.suppress(AttributeError):  # the older line writes at once
            mlflow.flush_trace_async_logging()


def search(**words):
    if IS_3:
        return mlflow.search_traces(locations=[experiment], return_type="list", **words)
    return list(client.search_traces([experiment], **words))


answer(1, 2)
answer(2, 2)
with contextlib.suppress(ValueError):
    answer(9, 9)
flushed()
key = mlflow.get_last_active_trace_id() if IS_3 else mlflow.get_last_active_trace().info.request_id
trace = mlflow.get_trace(key) if IS_3 else client.get_trace(key)
told["state"] = str(trace.info.state if IS_3 else trace.info.status).rpartition(".")[2]
told["spans"] = [[span.name, span.inputs, span.outputs] for span in trace.data.spans]
told["found"] = len(search())
told["failed"] = len(search(filter_string="attributes.status = 'ERROR'"))
told["ordered"] = len(search(order_by=["timestamp_ms DESC"], max_results=2))
client.set_trace_tag(key, "team", "sky")
client.set_trace_tag(key, "gone", "x")
client.delete_trace_tag(key, "gone")
told["tagged"] = len(search(filter_string="tags.team = 'sky'"))
told["untagged"] = len(search(filter_string="tags.gone = 'x'"))
told["named"] = len(search(filter_string="attributes.name = 'answer'" if not IS_3 else "trace.name = 'answer'"))
if IS_3:
    feedback = mlflow.log_feedback(trace_id=key, name="good", value=True, rationale="because")
    expected = mlflow.log_expectation(trace_id=key, name="right", value={"a": 1})
    told["assessed"] = [[one.name, one.value] for one in mlflow.get_trace(key).info.assessments]
    mlflow.update_assessment(key, feedback.assessment_id, mlflow.entities.Feedback(name="good", value=False))
    told["updated"] = mlflow.get_assessment(key, feedback.assessment_id).value
    told["by feedback"] = len(search(filter_string="feedback.good = 'false'"))
    mlflow.delete_assessment(key, expected.assessment_id)
    told["left"] = [one.name for one in mlflow.get_trace(key).info.assessments]
    told["by span"] = len(search(filter_string="span.type = 'LLM' AND span.name = 'answer'"))
    with mlflow.start_run() as run:
        answer(3, 4)
    flushed()
    told["of run"] = len(mlflow.search_traces(locations=[experiment], run_id=run.info.run_id, return_type="list"))
told["deleted"] = client.delete_traces(experiment, **{"trace_ids" if IS_3 else "request_ids": [key]})
told["after"] = len(search())
print(json.dumps(told))
