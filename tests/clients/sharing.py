"""What MLflow's own client does with users and permissions; prints as JSON what it reads back. Its words are the names of two new users.

The client's module lies in the package of MLflow's server, which wants a web server's libraries: that is passed by, save its paths.
"""

import json
import os
import pathlib
import sys
import types

import mlflow

HOME = pathlib.Path(mlflow.__file__).parent / "server"
for name, path in {"mlflow.server": HOME, "mlflow.server.auth": HOME / "auth", "mlflow.server.handlers": HOME}.items():
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(path)]
handlers = sys.modules["mlflow.server.handlers"]
handlers._add_static_prefix = lambda path: path
handlers._get_rest_path = lambda path, version=2: f"/api/{version}.0{path}"
handlers._get_ajax_path = lambda path, version=2: f"/ajax-api/{version}.0{path}"

from mlflow.server.auth.client import AuthServiceClient  # noqa: E402 -- the package must be passed by first

ann, bob = sys.argv[1:]
GOOD, OTHER = "plover quartz tandem 41", "marmot velvet cascade 86"
users = AuthServiceClient(os.environ["MLFLOW_TRACKING_URI"])
token = os.environ.pop("MLFLOW_TRACKING_TOKEN")


def become(name, password):
    os.environ.update(MLFLOW_TRACKING_USERNAME=name, MLFLOW_TRACKING_PASSWORD=password)


def become_admin():
    become("admin", token)


def refused(act):
    """The protocol's error code for what is refused."""
    try:
        act()
    except mlflow.exceptions.MlflowException as error:
        return str(error).partition(":")[0]
    return "done"


become_admin()
told = {"made": [users.create_user(name, GOOD).username for name in (ann, bob)], "again": refused(lambda: users.create_user(ann, GOOD))}
told["weak"] = refused(lambda: users.create_user(f"{ann}2", "password1234"))

become(ann, GOOD)
experiment = mlflow.create_experiment(f"of {ann}")
with mlflow.start_run(experiment_id=experiment) as run:
    mlflow.log_metric("m", 1.0)
become(bob, GOOD)
told["unseen"] = refused(lambda: mlflow.get_run(run.info.run_id))
told["no admin"] = refused(lambda: users.update_user_admin(bob, True))

become(ann, GOOD)
if hasattr(users, "create_experiment_permission"):
    users.create_experiment_permission(experiment, bob, "READ")
    told["twice"] = refused(lambda: users.create_experiment_permission(experiment, bob, "READ"))
    told["read"] = users.get_experiment_permission(experiment, bob).permission
else:
    users.grant_user_permission(bob, "experiment", experiment, "READ")
    told["twice"] = "RESOURCE_ALREADY_EXISTS"
    told["read"] = users.get_user_permission(bob, "experiment", experiment).permission
become(bob, GOOD)
told["seen"] = mlflow.get_run(run.info.run_id).data.metrics["m"]
told["not changed"] = refused(lambda: mlflow.MlflowClient().set_tag(run.info.run_id, "k", "v"))
becoming = {"current_password": GOOD} if "current_password" in users.update_user_password.__code__.co_varnames else {}
users.update_user_password(bob, OTHER, **becoming)
told["old password"] = refused(lambda: mlflow.get_run(run.info.run_id))
become(bob, OTHER)
told["new password"] = refused(lambda: mlflow.get_run(run.info.run_id))

become_admin()
users.update_user_admin(bob, True)
told["admin"] = users.get_user(bob).is_admin
users.delete_user(bob)
told["gone"] = refused(lambda: users.get_user(bob))
become(bob, OTHER)
told["out"] = refused(lambda: mlflow.get_run(run.info.run_id))
print(json.dumps(told))
