"""An object store that speaks S3, as a process of its own on the loopback device."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path

from processes import wait_for
from pyarrow import fs

# It ends with its input, and that ends with the tests, in whatever way they do.
_SERVE = """
import os, sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer("127.0.0.1", 0)
server.start()
print(f"port={server.get_host_and_port()[1]}", flush=True)
sys.stdin.read()
os._exit(0)
"""


class ObjectStore:
    """A server without any bucket, until the block ends.

    Args:
        log: Where it writes its requests.
        env: What it finds in its environment, such as how moto is set.
    """

    def __init__(self, log: Path, env: dict[str, str] | None = None) -> None:
        self._log = log
        self._env = env or {}

    def __enter__(self) -> ObjectStore:
        with self._log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE], stdin=subprocess.PIPE, stdout=file, stderr=file, env=self._env
            )
        try:
            assert wait_for(lambda: self._port() or self.process.poll() is not None, seconds=60), "it does not start"
            assert self._port(), self._log.read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdin
        self.process.stdin.close()

    def _port(self) -> str:
        found = re.search(r"^port=(\d+)$", self._log.read_text(), re.MULTILINE)
        return found[1] if found else ""

    @property
    def environment(self) -> dict[str, str]:
        """Credentials and endpoint, as a person sets them to use it."""
        return {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self._port()}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def new_bucket(self) -> str:
        """Make a bucket and return its URI."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self._filesystem().create_dir(name)
        return f"s3://{name}"

    def upload(self, path: Path, uri: str) -> str:
        """Copy a file or folder to a URI in a bucket, and return the URI."""
        fs.copy_files(str(path), uri.removeprefix("s3://"), destination_filesystem=self._filesystem())
        return uri

    def _filesystem(self) -> fs.FileSystem:
        return fs.S3FileSystem(
            access_key="tester",
            secret_key="secret",
            region="us-east-1",
            endpoint_override=self.environment["AWS_ENDPOINT_URL"],
            allow_bucket_creation=True,
        )

    def requests(self) -> list[str]:
        """Return all requests so far, in order: ``PUT /bucket/key``; a listing is ``LIST /bucket/prefix``."""
        lines = re.findall(r'"(?:\x1b\[\d+m)*([A-Z]+ \S+) HTTP/1\.1', self._log.read_text())
        return [re.sub(r"GET (/[^/?]+)\?.*prefix=(.*)", r"LIST \1/\2", line) for line in lines]
