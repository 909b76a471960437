"""Drives `partwise serve` with the official Python client, as OpenAI and as Azure OpenAI.

Usage: official_client.py ORIGIN KEY OTHER_KEY [openai]

KEY and OTHER_KEY belong to two tenants of the server at ORIGIN. With `openai`, Azure's client is left out: ORIGIN is a gateway that speaks
OpenAI's dialect alone. Every step asserts what came back; the first that does not hold ends the run.
"""

import hashlib
import io
import random
import sys
import tempfile
from pathlib import Path

from openai import AuthenticationError, AzureOpenAI, BadRequestError, NotFoundError, OpenAI

MIB = 1024 * 1024
API_VERSION = "2024-10-21"


def openai_client(origin: str, key: str) -> OpenAI:
    return OpenAI(base_url=f"{origin}/v1", api_key=key, max_retries=0)


def azure_client(origin: str, key: str) -> AzureOpenAI:
    return AzureOpenAI(azure_endpoint=origin, api_key=key, api_version=API_VERSION, max_retries=0)


def noise(length: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(length)


def whole_files(client: OpenAI) -> None:
    """create, retrieve, list, content, delete"""
    content = noise(300_000, 1)
    created = client.files.create(file=("notes.txt", content), purpose="assistants")
    assert created.object == "file", created
    assert created.bytes == len(content), created
    assert created.filename == "notes.txt", created
    assert created.purpose == "assistants", created

    retrieved = client.files.retrieve(created.id)
    assert retrieved == created, (retrieved, created)
    assert client.files.content(created.id).read() == content

    assert created.id in [file.id for file in client.files.list()]
    assert created.id in [file.id for file in client.files.list(purpose="assistants")]
    assert created.id not in [file.id for file in client.files.list(purpose="fine-tune")]

    deleted = client.files.delete(created.id)
    assert deleted.id == created.id and deleted.deleted is True, deleted
    for gone in (client.files.retrieve, client.files.content):
        refused(NotFoundError, 404, gone, created.id)
    assert created.id not in [file.id for file in client.files.list()]


def names_survive(client: OpenAI) -> None:
    for name in ("naïve 文件.txt", 'say "hello".txt', "100%25.txt"):
        created = client.files.create(file=(name, b"x"), purpose="assistants")
        assert created.filename == name, created
        assert client.files.retrieve(created.id).filename == name
        client.files.delete(created.id)


def open_files_and_paths(client: OpenAI, folder: Path) -> None:
    path = folder / "lines.jsonl"
    path.write_bytes(b'{"a": 1}\n' * 1000)
    with path.open("rb") as opened:
        from_handle = client.files.create(file=opened, purpose="fine-tune")
    from_path = client.files.create(file=path, purpose="fine-tune")
    for created in (from_handle, from_path):
        assert created.filename == "lines.jsonl" and created.bytes == 9000, created
        assert client.files.content(created.id).read() == path.read_bytes()
        client.files.delete(created.id)


def chunked_uploads(client: OpenAI, folder: Path) -> None:
    content = noise(5 * MIB + 12_345, 2)
    path = folder / "train.jsonl"
    path.write_bytes(content)
    digest = hashlib.md5(content).hexdigest()

    from_path = client.uploads.upload_file_chunked(
        file=path, mime_type="application/jsonl", purpose="fine-tune", part_size=2 * MIB, md5=digest
    )
    from_memory = client.uploads.upload_file_chunked(
        file=content,
        filename="train.jsonl",
        bytes=len(content),
        mime_type="application/jsonl",
        purpose="fine-tune",
        part_size=MIB,
    )
    for upload in (from_path, from_memory):
        assert upload.status == "completed", upload
        assert upload.bytes == len(content), upload
        assert upload.file is not None and upload.file.bytes == len(content), upload
        assert upload.file.filename == "train.jsonl" and upload.file.purpose == "fine-tune", upload
        assert client.files.content(upload.file.id).read() == content
        client.files.delete(upload.file.id)


def parts_in_any_order(client: OpenAI) -> None:
    """The order of `part_ids` is the order of the bytes; ids that are not named are left out."""
    first, second, stray = noise(MIB, 3), noise(4, 4), noise(10, 5)
    upload = client.uploads.create(
        bytes=len(first) + len(second), filename="ordered.bin", mime_type="application/octet-stream", purpose="assistants"
    )
    assert upload.status == "pending", upload
    late = client.uploads.parts.create(upload.id, data=io.BytesIO(second))
    client.uploads.parts.create(upload.id, data=io.BytesIO(stray))
    early = client.uploads.parts.create(upload.id, data=io.BytesIO(first))
    completed = client.uploads.complete(upload.id, part_ids=[early.id, late.id])
    assert completed.status == "completed" and completed.file is not None, completed
    assert client.files.content(completed.file.id).read() == first + second
    client.files.delete(completed.file.id)


def refusals(client: OpenAI, stranger: OpenAI, intruder: OpenAI) -> None:
    refused(NotFoundError, 404, client.files.retrieve, "file-doesnotexist")
    refused(NotFoundError, 404, client.files.delete, "file-doesnotexist")
    refused(AuthenticationError, 401, intruder.files.list)
    refused(AuthenticationError, 401, lambda: intruder.files.create(file=("a", b"x"), purpose="assistants"))
    refused(BadRequestError, 400, lambda: client.files.create(file=("a", b"x"), purpose="no-such-purpose"))

    mine = client.files.create(file=("mine.txt", b"mine"), purpose="assistants")
    for touch in (stranger.files.retrieve, stranger.files.content, stranger.files.delete):
        refused(NotFoundError, 404, touch, mine.id)
    assert mine.id not in [file.id for file in stranger.files.list()]
    client.files.delete(mine.id)

    upload = client.uploads.create(bytes=10, filename="a.bin", mime_type="application/octet-stream", purpose="assistants")
    part = client.uploads.parts.create(upload.id, data=b"too short")
    refused(BadRequestError, 400, lambda: client.uploads.complete(upload.id, part_ids=[part.id]))
    refused(BadRequestError, 400, lambda: client.uploads.complete(upload.id, part_ids=["part_unknown"]))
    cancelled = client.uploads.cancel(upload.id)
    assert cancelled.status == "cancelled", cancelled
    refused(BadRequestError, 400, lambda: client.uploads.parts.create(upload.id, data=b"x"))


def pages(client: OpenAI) -> None:
    """Only OpenAI's list has pages; Azure's dated versions answer with all there is."""
    ids = {client.files.create(file=(f"{n}.txt", b"x"), purpose="user_data").id for n in range(5)}
    page = client.files.list(purpose="user_data", limit=2)
    assert len(page.data) == 2 and page.has_more is True, page
    listed = [file.id for file in page]
    assert len(listed) == len(set(listed)) == 5 and set(listed) == ids, (listed, ids)
    newest = [file.created_at for file in client.files.list(purpose="user_data", order="desc")]
    assert newest == sorted(newest, reverse=True), newest
    for file_id in ids:
        client.files.delete(file_id)


def refused(kind, status: int, call, *arguments) -> None:
    try:
        answer = call(*arguments)
    except kind as error:
        assert error.status_code == status, error
        assert error.message, error
        return
    raise AssertionError(f"expected {kind.__name__}, got {answer!r}")


def main(origin: str, key: str, other_key: str, only: str = "") -> None:
    clients = (openai_client,) if only == "openai" else (openai_client, azure_client)
    with tempfile.TemporaryDirectory() as folder:
        for connect in clients:
            client, stranger, intruder = (connect(origin, k) for k in (key, other_key, "wrong-key"))
            whole_files(client)
            names_survive(client)
            open_files_and_paths(client, Path(folder))
            chunked_uploads(client, Path(folder))
            parts_in_any_order(client)
            refusals(client, stranger, intruder)
            print(f"{type(client).__name__}: ok")
        pages(openai_client(origin, key))
        print("pages: ok")


if __name__ == "__main__":
    main(*sys.argv[1:])
