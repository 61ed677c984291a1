"""Webhooks as MLflow's client makes them, told at the address that is its one word; prints as JSON what it reads back."""

import json
import sys
import time

from mlflow import MlflowClient
from mlflow.entities.webhook import WebhookAction, WebhookEntity, WebhookEvent

client = MlflowClient()
told = {}
events = [
    WebhookEvent(WebhookEntity.REGISTERED_MODEL, WebhookAction.CREATED),
    WebhookEvent(WebhookEntity.MODEL_VERSION_ALIAS, WebhookAction.CREATED),
]
hook = client.create_webhook("late", f"{sys.argv[1]}/mlflow", events, secret="s3cret")
told["made"] = [hook.name, str(hook.status), [[str(one.entity), str(one.action)] for one in hook.events]]
tried = client.test_webhook(hook.webhook_id)
told["tried"] = [tried.success, tried.response_status]
told["listed"] = [one.name for one in client.list_webhooks()]
client.create_registered_model("m", tags={"a": "b"}, description="said")
run = client.create_run("0")
client.log_text(run.info.run_id, "flavors: {}\n", "model/MLmodel")
client.create_model_version("m", f"runs:/{run.info.run_id}/model", run_id=run.info.run_id)
client.set_registered_model_alias("m", "champion", "1")
time.sleep(3)
changed = client.update_webhook(hook.webhook_id, name="later", status="DISABLED")
told["changed"] = [changed.name, str(changed.status)]
client.delete_webhook(hook.webhook_id)
told["after"] = [one.name for one in client.list_webhooks()]
print(json.dumps(told))
