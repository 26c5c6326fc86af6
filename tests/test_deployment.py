"""The configuration of clusters: checked by Ray's own schema, and against the rest of the repository."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.runtime_env import RuntimeEnv
from sources import ROOT

from xfmr.settings import Settings, read_settings

# The keys that KubeRay's v1 API knows, of those that a manifest here may need.
RAY_JOB = {
    "entrypoint": str,
    "entrypointResources": str,
    "backoffLimit": int,
    "shutdownAfterJobFinishes": bool,
    "submissionMode": str,
    "ttlSecondsAfterFinished": int,
    "runtimeEnvYAML": str,
    "rayClusterSpec": dict,
}
RAY_CLUSTER = {
    "rayVersion": str,
    "enableInTreeAutoscaling": bool,
    "autoscalerOptions": dict,
    "headGroupSpec": dict,
    "workerGroupSpecs": list,
}
HEAD_GROUP = {"rayStartParams": dict, "template": dict}
WORKER_GROUP = {**HEAD_GROUP, "groupName": str, "replicas": int, "minReplicas": int, "maxReplicas": int}


def on_aws() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "cluster.yaml").read_text())


def on_premises() -> dict[str, Any]:
    """Read the alternative that stands as a comment at the end of the file."""
    _, marker, text = (ROOT / "cluster.yaml").read_text().partition("# cluster_name:")
    return yaml.safe_load("\n".join(line.removeprefix("# ") for line in (marker + text).splitlines()))


def ray_job() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "jobs/rayjob.yaml").read_text())


def check_fields(value: dict[str, Any], known: dict[str, type]) -> None:
    """Refuse keys that are not known and values of another type."""
    for name, content in value.items():
        assert type(content) is known.get(name), name


def containers() -> list[dict[str, Any]]:
    """Return the containers of the manifest: the head's, and those of the workers."""
    cluster = ray_job()["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    return [container for group in groups for container in group["template"]["spec"]["containers"]]


@pytest.mark.parametrize("config", [on_aws(), on_premises()], ids=["aws", "local"])
def test_ray_up_takes_the_cluster(config: dict[str, Any]) -> None:
    validate_config(prepare_config(config))


def test_a_misspelt_cluster_is_refused() -> None:
    """The schema is that of the installed Ray, and it is asked."""
    with pytest.raises(Exception, match="idle_timeout"):
        validate_config(prepare_config(on_aws() | {"idle_timeout": 10}))


def test_workers_scale_to_zero_and_the_head_takes_no_tasks() -> None:
    types = prepare_config(on_aws())["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    workers = {name: node for name, node in types.items() if name != "head"}
    assert {name: node["min_workers"] for name, node in workers.items()} == {"cpu": 0, "gpu": 0}
    assert all(node["max_workers"] > 0 for node in workers.values())
    assert {name for name, node in workers.items() if node["resources"].get("GPU")} == {"gpu"}


def test_the_manifest_has_fields_that_kuberay_knows() -> None:
    manifest = ray_job()
    assert manifest.keys() == {"apiVersion", "kind", "metadata", "spec"}
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    spec = manifest["spec"]
    check_fields(spec, RAY_JOB)
    check_fields(spec["rayClusterSpec"], RAY_CLUSTER)
    check_fields(spec["rayClusterSpec"]["headGroupSpec"], HEAD_GROUP)
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        check_fields(group, WORKER_GROUP)
        assert group["replicas"] == group["minReplicas"] == 0
    parameters = [spec["rayClusterSpec"]["headGroupSpec"], *spec["rayClusterSpec"]["workerGroupSpecs"]]
    assert all(type(value) is str for group in parameters for value in group["rayStartParams"].values())


def test_a_container_may_use_what_it_asks_for() -> None:
    """Ray counts the limits, Kubernetes the requests."""
    assert [set(container) for container in containers()] == [{"name", "image", "resources"}] * 3
    for container in containers():
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_the_manifest_runs_a_job_with_flags_that_there_are(tmp_path: Path) -> None:
    python, option, module, *flags = shlex.split(ray_job()["spec"]["entrypoint"])
    assert (python, option, module) == ("python", "-m", "jobs.featurize")
    flags[flags.index("--run") + 1] = str(tmp_path / "run")
    assert read_settings(Settings, flags, prog="test").archive == ["s3://bucket/archive"]


def test_a_worker_installs_this_package() -> None:
    here = yaml.safe_load((ROOT / "runtime-env.yaml").read_text())
    manifest = yaml.safe_load(ray_job()["spec"]["runtimeEnvYAML"])
    assert here["pip"] == manifest["pip"] == ["${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"]
    # Through a shell, as in KubeRay's other modes, the variable would be lost.
    assert ray_job()["spec"]["submissionMode"] == "HTTPMode"
    assert RuntimeEnv(**here).pip_config()["packages"] == here["pip"]


def test_one_version_of_ray_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (ray,) = [wanted for wanted in map(Requirement, project["dependencies"]) if wanted.name == "ray"]
    files = [(ROOT / name).read_text() for name in ("cluster.yaml", "jobs/rayjob.yaml")]
    images = [image for text in files for image in re.findall(r"rayproject/ray:(\S+)-py(\d)(\d+)", text)]
    assert len(images) == 6
    assert {version for version, *_ in images} == {ray_job()["spec"]["rayClusterSpec"]["rayVersion"]}
    assert all(ray.specifier.contains(version) for version, *_ in images)
    python = Requirement(f"python{project['requires-python']}").specifier
    assert all(python.contains(Version(f"{major}.{minor}")) for _, major, minor in images)
