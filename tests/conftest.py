"""Fixtures of several modules: one local Ray cluster and the recordings beside the repository."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import ObjectStore

SHARED_DATA = Path(__file__).resolve().parents[1] / "../shared/data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real recordings: see the README.md among them."""
    if not SHARED_DATA.exists():
        pytest.skip("the shared recordings (shared/data beside the repository) are not there")
    return SHARED_DATA.resolve()


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """Start a local Ray cluster of two CPUs, once for all tests that need one."""
    import ray

    from xfmr.cluster import quieten

    ray.init(
        address="local",
        num_cpus=2,
        _node_ip_address="127.0.0.1",
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        quieten()
        yield
    finally:
        ray.shutdown()


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """Start a server that speaks S3, once for all tests that need one."""
    with ObjectStore(tmp_path_factory.mktemp("s3") / "requests.log") as server:
        yield server


@pytest.fixture
def bucket(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> str:
    """Make a bucket for one test, with what it takes to use it in the environment; the answer is its URI."""
    for name, value in object_store.environment.items():
        monkeypatch.setenv(name, value)
    return object_store.new_bucket()
