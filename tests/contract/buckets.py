"""Real servers that speak S3: moto, and rclone over a directory. Each on a free port."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3

PART_BYTES = 64 * 1024
"""The least size of a part that moto is told to take; S3 takes none below 5 MiB."""
ACCESS, SECRET = "headway-access", "headway-secret"
BUCKET = "artifacts"


@contextmanager
def moto(room: Path) -> Iterator[str]:
    """A server with conditional writes; yields its endpoint."""
    program = Path(sys.executable).with_name("moto_server")
    with _served([str(program), "-H", "127.0.0.1", "-p", "{port}"], room) as endpoint:
        yield endpoint


@contextmanager
def rclone(room: Path) -> Iterator[str]:
    """A server without conditional writes; yields its endpoint."""
    program = Path(sys.executable).with_name("rclone")
    (room / "served").mkdir()
    keys = f"{ACCESS},{SECRET}"
    argv = [str(program), "serve", "s3", "--addr", "127.0.0.1:{port}", "--auth-key", keys]
    with _served([*argv, str(room / "served")], room) as endpoint:
        yield endpoint


@contextmanager
def _served(argv: list[str], room: Path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {"PATH": os.environ["PATH"], "HOME": str(room)} | {
        "S3_UPLOAD_PART_MIN_SIZE": str(PART_BYTES)
    }
    with (room / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [part.format(port=port) for part in argv],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
        )
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (room / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        endpoint = f"http://127.0.0.1:{port}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name="us-east-1",
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
        )
        client.create_bucket(Bucket=BUCKET)
        client.close()
        yield endpoint
    finally:
        process.terminate()
        process.wait(20)
