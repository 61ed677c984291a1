"""What a client of the third line does with datasets for evaluation; prints as JSON what it reads back."""

import json

import mlflow
from mlflow import MlflowClient
from mlflow.genai import datasets

told = {}
client = MlflowClient()
first = mlflow.set_experiment("asked").experiment_id
second = client.create_experiment("asked again")
made = datasets.create_dataset(name="questions", experiment_id=[first], tags={"team": "sky"})
made.merge_records(
    [
        {"inputs": {"q": "one"}, "outputs": "1", "expectations": {"right": True}, "tags": {"hard": "no"}},
        {"inputs": {"q": "two", "deep": {"n": [1, None]}}, "expectations": {"score": 0.5}},
    ]
)
made.merge_records([{"inputs": {"q": "one"}, "outputs": ["i"], "expectations": {"short": False}, "tags": {"seen": "yes"}}])
got = datasets.get_dataset(dataset_id=made.dataset_id)
frame = got.to_df().sort_values("created_time", kind="stable")
told["inputs"] = frame["inputs"].tolist()
told["outputs"] = frame["outputs"].tolist()
told["expectations"] = frame["expectations"].tolist()
told["tags"] = sorted(frame["tags"].tolist()[0].keys() - {"mlflow.user"})
told["profile"] = json.loads(got.profile)
told["fields"] = sorted(json.loads(got.schema)["expectations"])
entity = client.get_dataset(made.dataset_id)
told["of"] = entity.experiment_ids == [first]
datasets.add_dataset_to_experiments(dataset_id=made.dataset_id, experiment_ids=[second])
told["of both"] = len(client.get_dataset(made.dataset_id).experiment_ids)
datasets.remove_dataset_from_experiments(dataset_id=made.dataset_id, experiment_ids=[first])
told["of second"] = client.get_dataset(made.dataset_id).experiment_ids == [second]
datasets.set_dataset_tags(dataset_id=made.dataset_id, tags={"state": "new", "gone": "x"})
datasets.delete_dataset_tag(dataset_id=made.dataset_id, key="gone")
told["by tag"] = len(datasets.search_datasets(experiment_ids=[second], filter_string="tags.state = 'new' AND name LIKE 'quest%'"))
told["by none"] = len(datasets.search_datasets(filter_string="tags.gone = 'x'"))
told["recent"] = [one.name for one in datasets.search_datasets()]
told["deleted"] = got.delete_records([frame["dataset_record_id"].tolist()[0]])
told["left"] = datasets.get_dataset(dataset_id=made.dataset_id).to_df()["inputs"].tolist()
datasets.delete_dataset(dataset_id=made.dataset_id)
told["after"] = len(datasets.search_datasets())
print(json.dumps(told))
