"""An S3-compatible server on 127.0.0.1 for tests of remotes: no account, no network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen


@dataclass(frozen=True)
class S3Server:
    """Where the server answers, and the bucket that it holds."""

    endpoint: str
    bucket: str


@contextmanager
def running_s3_server(bucket: str = "landmark-kd") -> Iterator[S3Server]:
    """Serve one empty bucket as long as the context lasts."""
    # Imported here: it takes a second, which tests without it need not wait.
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        with urlopen(Request(f"{endpoint}/{bucket}", method="PUT")):
            yield S3Server(endpoint, bucket)
    finally:
        server.stop()


def fake_credentials(folder: Path) -> dict[str, str]:
    """Return environment variables with which no account of the user's own is ever looked at."""
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(folder / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "no-aws-credentials"),
    }
