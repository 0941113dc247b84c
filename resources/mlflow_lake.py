"""MLflow's artefact store on the lake, under URIs that name no machine: a home can be moved, and LAKE_URL changed.

MLflow fixes the location of an experiment's artefacts when the experiment is made, and copies it into every run and
model. So it is given `cartograph-lake:/mlflow/<domain>`, and what that means is asked when files are read or written.
MLflow finds this module by its entry point in `pyproject.toml`, also in the server that shows the artefacts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mlflow.entities import FileInfo
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from resources.settings import get_settings

SCHEME = "cartograph-lake"

_location: str | None = None


def use_lake(location: str) -> None:
    """Say where this process's lake is, where that is not what its environment says."""
    global _location
    _location = location


def resolve(uri: str) -> str:
    """The place of an artefact URI in the lake of this process, as a URL."""
    location = _location or get_settings().lake_location
    root = location if "://" in location else Path(location).absolute().as_uri()
    return f"{root.rstrip('/')}/{urlsplit(uri).path.lstrip('/')}"


class LakeArtifacts(ArtifactRepository):
    """Hands every call on to MLflow's own store for the folder or bucket that holds the lake."""

    def __init__(
        self, artifact_uri: str, tracking_uri: str | None = None, registry_uri: str | None = None, **_: Any
    ) -> None:
        super().__init__(artifact_uri, tracking_uri, registry_uri)
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        self._inner: Any = get_artifact_repository(resolve(artifact_uri), tracking_uri, registry_uri)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        self._inner.log_artifact(local_file, artifact_path)

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        self._inner.log_artifacts(local_dir, artifact_path)

    def list_artifacts(self, path: str | None = None) -> list[FileInfo]:
        return list(self._inner.list_artifacts(path))

    def download_artifacts(self, artifact_path: str, dst_path: str | None = None) -> str:
        return str(self._inner.download_artifacts(artifact_path, dst_path))

    def get_local_path(self, artifact_path: str) -> str | None:
        local = self._inner.get_local_path(artifact_path)
        return None if local is None else str(local)

    def delete_artifacts(self, artifact_path: str | None = None) -> None:
        self._inner.delete_artifacts(artifact_path)

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        self._inner._download_file(remote_file_path, local_path)
