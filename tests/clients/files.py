"""Files as a script sends and fetches them: single, a folder, text, a large one in parts, of a run that has ended. Prints what it saw."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

import mlflow
from mlflow import MlflowClient

os.environ["MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE"] = "1000000"
os.environ["MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE"] = "6000000"
client = MlflowClient()
folder = Path(tempfile.mkdtemp())
(folder / "sub").mkdir()
(folder / "a.txt").write_text("hello")
(folder / "empty").write_bytes(b"")
(folder / "sub" / "שלום x.bin").write_bytes(os.urandom(100_000))
large = folder / "large.bin"
seen: dict[str, object] = {}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


with mlflow.start_run() as run:
    mlflow.log_artifact(str(folder / "a.txt"))
    mlflow.log_artifacts(str(folder), "all")
    mlflow.log_dict({"a": [1]}, "deep/er/d.json")
    large.write_bytes(os.urandom(20_000_000))
    os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "true"
    mlflow.log_artifact(str(large), "big")
    key = run.info.run_id
seen["root"] = [[one.path, one.is_dir, one.file_size] for one in client.list_artifacts(key)]
seen["sub"] = [[one.path, one.file_size] for one in client.list_artifacts(key, "all/sub")]
seen["of a file"] = client.list_artifacts(key, "a.txt")
fetched = Path(mlflow.artifacts.download_artifacts(run_id=key, dst_path=str(folder / "fetched")))
seen["same"] = [
    digest(fetched / "all" / one) == digest(folder / one) for one in ("a.txt", "empty", "sub/שלום x.bin")
] + [digest(fetched / "big" / "large.bin") == digest(large)]  # fmt: skip
seen["dict"] = mlflow.artifacts.load_dict(f"runs:/{key}/deep/er/d.json")
os.environ["MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD"] = "false"
client.log_artifact(key, str(folder / "a.txt"))
try:
    client.log_artifact(key, str(folder / "empty"), "late")
    seen["late"] = "taken"
except Exception as error:
    seen["late"] = "frozen" if "RESOURCE_CONFLICT" in str(error) else str(error)
seen["run"] = key
print(json.dumps(seen))
