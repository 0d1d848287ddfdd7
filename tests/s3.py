"""An S3 server on loopback, so that object storage is tested over a real protocol. Import with ``import s3``."""

import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

BUCKET = "captures"


@contextmanager
def loopback_s3(*buckets: str) -> Iterator[dict[str, str]]:
    """Run an S3 server in this process and yield the environment that leads to it."""
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()  # of an earlier server here
    try:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            import s3fs

            s3fs.S3FileSystem.clear_instance_cache()  # of an earlier server
            for bucket in buckets or (BUCKET,):
                s3fs.S3FileSystem().mkdir(bucket)
            yield environment
            s3fs.S3FileSystem.clear_instance_cache()
    finally:
        server.stop()
