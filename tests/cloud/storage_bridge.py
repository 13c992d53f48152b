"""Cloud Storage on loopback: gcp-storage-emulator, taught what it lacks.

It ignores generation preconditions; and the BigQuery emulator writes exports into a folder of its own, which the bridge
shows as objects.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from unittest import mock

from gcp_storage_emulator.handlers import objects


@contextmanager
def generation_preconditions() -> Iterator[None]:
    """Refuse (412) an upload whose ``ifGenerationMatch`` is not the object's generation, 0 for none."""
    begin = objects._create_resumable_upload

    def begin_if_generation_matches(request: Any, response: Any, storage: Any) -> Any:
        wanted = request.query.get("ifGenerationMatch")
        name = (request.data or {}).get("name")
        found = storage.objects.get(request.params["bucket_name"], {}).get(name)
        if wanted and int(wanted[0]) != int(found["generation"] if found else 0):
            response.status = HTTPStatus.PRECONDITION_FAILED
            response.json({"error": {"code": 412, "message": "conditionNotMet"}})
            return None
        return begin(request, response, storage)

    with mock.patch.object(objects, "_create_resumable_upload", begin_if_generation_matches):
        yield


@contextmanager
def shared_folder(storage: Any, url: str, folder: Path) -> Iterator[None]:
    """Show the files of ``folder/BUCKET`` as objects whenever a bucket is listed; make the folder that is listed, since
    the BigQuery emulator writes only into folders that are there."""
    listed = storage.get_file_list

    def list_with_folder(bucket: str, prefix: str | None = None, *args: Any, **options: Any) -> Any:
        place = folder / bucket / (prefix or "").rpartition("/")[0]
        place.mkdir(parents=True, exist_ok=True)
        for path in sorted(place.rglob("*")):
            name = path.relative_to(folder / bucket).as_posix()
            if path.is_file() and name not in storage.objects.get(bucket, {}):
                content = path.read_bytes()
                path.unlink()
                made = objects._make_object_resource(url, bucket, name, "application/octet-stream", len(content))
                storage.create_file(bucket, name, content, objects._checksums(content, made))
        return listed(bucket, prefix, *args, **options)

    with mock.patch.object(storage, "get_file_list", list_with_folder):
        yield
