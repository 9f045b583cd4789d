"""What lies in deploy/: checked by the tools that know each format, and compared with what the code says.

No cluster, no Docker and no Cloudflare is here. Kubernetes objects are checked against the published schemas, the compose file by a
parser of the compose specification, the Dockerfile by hadolint, nginx by itself (test_nginx.py runs it). For kustomize, Cloud Run and
cloudflared, whose tools are no packages, the checks are ours.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from compose_spec import PyCompose

from config.settings import Settings, rows
from mcp_server import __version__
from mcp_server.web import health
from tests.running import ROOT, SECRETS, environment

DEPLOY = ROOT / "deploy"
SCRIPTS = sorted(path for path in (ROOT / "bin").iterdir() if path.is_file())
MANIFESTS = sorted(path for path in (DEPLOY / "kubernetes").rglob("*.yaml") if path.name != "kustomization.yaml")
KUSTOMIZATIONS = sorted((DEPLOY / "kubernetes").rglob("kustomization.yaml"))
NAMES = {name for row in rows() for name in row.names}
OTHERS = {"CREDENTIALS_DIRECTORY", "FLASK_APP", "PATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}
LONGEST_DRAIN = 90 + 5  # LLM_TIMEOUT's ceiling, and what gunicorn.conf.py adds
LONGEST_STREAM = 300  # LLM_STREAM_TIMEOUT's default
KEEP_ALIVE = int(re.search(r"^keepalive = (\d+)", (ROOT / "gunicorn.conf.py").read_text(), re.MULTILINE)[1])


def run(*command, **given):
    program, *arguments = map(str, command)
    found = Path(sys.executable).with_name(program)
    return subprocess.run([found if found.exists() else program, *arguments], capture_output=True, text=True, check=False, **given)


def read(path):
    return yaml.safe_load((DEPLOY / path).read_text())


def seconds(text):
    return int(re.fullmatch(r"(\d+)s", text)[1])


@pytest.fixture(scope="module")
def compose():
    return read("compose.yaml")


@pytest.fixture(scope="module")
def pod():
    return read("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def cloud_run():
    return read("cloudrun/service.yaml")["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def dockerfile():
    return (DEPLOY / "Dockerfile").read_text()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_finds_nothing_in_our_scripts(script):
    checked = run("shellcheck", "-x", "-P", "SCRIPTDIR", script)
    assert checked.stdout == ""


def test_hadolint_finds_nothing_in_the_dockerfile():
    assert run("hadolint", DEPLOY / "Dockerfile").stdout == ""


def test_every_yaml_file_is_well_formed_and_has_no_key_twice():
    rules = "{extends: default, rules: {line-length: {max: 160}, document-start: disable, comments: {min-spaces-from-content: 1}, braces: enable}}"
    assert run("yamllint", "-s", "-d", rules, DEPLOY).stdout == ""


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda path: path.name)
def test_kubernetes_knows_each_object_and_each_of_its_fields(manifest):
    checked = run("kubernetes-validate", "--strict", manifest)
    assert (checked.returncode, "passed" in checked.stdout + checked.stderr) == (0, True), checked.stdout + checked.stderr


@pytest.mark.parametrize("kustomization", KUSTOMIZATIONS, ids=lambda path: path.parent.name)
def test_what_kustomize_would_join_is_there_and_fits(kustomization):
    told = yaml.safe_load(kustomization.read_text())
    folder = kustomization.parent
    listed = {(folder / path).resolve() for path in told["resources"]}
    assert all(path.exists() for path in listed)
    patches = {(folder / each["path"]).resolve() for each in told.get("patches", ())}
    examples = set(folder.glob("*.example.yaml"))  # to be copied, never applied
    assert {path.resolve() for path in folder.glob("*.yaml")} - listed - patches - examples == {kustomization.resolve()}
    base = [yaml.safe_load(path.read_text()) for path in (DEPLOY / "kubernetes/base").glob("*.yaml")]
    for path in patches:
        patch = yaml.safe_load(path.read_text())
        assert (patch["kind"], patch["metadata"]["name"]) in {(each["kind"], each.get("metadata", {}).get("name")) for each in base}
    images = {each["name"] for each in told.get("images", ())}
    assert images <= {read("kubernetes/base/deployment.yaml")["spec"]["template"]["spec"]["containers"][0]["image"].split(":")[0]}


def test_the_compose_specification_knows_the_compose_file():
    PyCompose.from_yaml((DEPLOY / "compose.yaml").read_text()).validate()


def test_every_setting_that_is_set_exists(compose, pod, cloud_run, dockerfile):
    given = set(compose["services"]["gateway"]["environment"])
    given |= {each["name"] for spec in (pod, cloud_run) for each in spec["containers"][0]["env"]}
    given |= set(read("kubernetes/base/configmap.yaml")["data"]) | set(read("kubernetes/overlays/example/settings.yaml")["data"])
    given |= set(read("kubernetes/overlays/example/secret.example.yaml")["stringData"])
    given |= set(re.findall(r"^([A-Z_]+)=", (DEPLOY / "environment.example").read_text(), re.MULTILINE))
    given |= set(re.findall(r"(?:^ENV|^   ) ([A-Z_]+)=", dockerfile, re.MULTILINE))
    assert {"OAUTH_ISSUER", "JWT_SECRET_FILE", "TRUSTED_PROXIES", "HOST", "DATABASE_URL"} <= given
    assert {name for name in given if name.removesuffix("_FILE") not in NAMES} - OTHERS == set()


@pytest.mark.parametrize("kind", ["compose", "kubernetes", "cloud run"])
def test_production_accepts_these_settings_as_soon_as_the_secrets_are_there(kind, compose, cloud_run, dockerfile, tmp_path):
    image = dict(re.findall(r"(?:^ENV|^   ) ([A-Z_]+)=(\S+)", dockerfile, re.MULTILINE))
    if kind == "compose":
        lines = (DEPLOY / "environment.example").read_text().splitlines()
        given = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#")) | compose["services"]["gateway"]["environment"]
        given = {name: value for name, value in given.items() if not name.endswith("_FILE")}
    elif kind == "kubernetes":
        given = read("kubernetes/base/configmap.yaml")["data"] | {"REDIS_URL": "redis://redis:6379/0"}
    else:
        given = {each["name"]: each.get("value", "") for each in cloud_run["containers"][0]["env"]}
        given |= {"REDIS_URL": "redis://redis:6379/0", "DATABASE_URL": ""}
    settings = Settings.from_environ(image | given | SECRETS)
    assert (settings.environment, settings.host) == ("production", "0.0.0.0")


def test_the_port_and_the_paths_are_those_of_the_code(compose, pod, cloud_run, dockerfile):
    paths = {f"/{path}" for path in re.findall(r'@bp\.get\("/(\S+)"\)', Path(health.__file__).read_text())}
    container, service = pod["containers"][0], cloud_run["containers"][0]
    probed = {each[kind]["httpGet"]["path"] for each, kinds in ((container, ("startupProbe", "livenessProbe", "readinessProbe")),
                                                                 (service, ("startupProbe", "livenessProbe"))) for kind in kinds}
    assert probed <= paths
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert "/health/live'" in dockerfile
    assert {8080} == {container["ports"][0]["containerPort"], service["ports"][0]["containerPort"]}
    assert "EXPOSE 8080" in dockerfile
    assert compose["services"]["gateway"]["ports"] == ["127.0.0.1:8080:8080"]
    assert read("kubernetes/base/network-policy.yaml")["spec"]["ingress"][0]["ports"] == [{"port": 8080, "protocol": "TCP"}]
    assert read("cloudflared/config.yml")["ingress"][0]["service"] == "http://127.0.0.1:8080"


def test_whoever_stops_a_gateway_waits_longer_than_the_longest_call_in_flight(compose, pod):
    before = int(pod["containers"][0]["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > LONGEST_DRAIN + before
    assert seconds(compose["services"]["gateway"]["stop_grace_period"]) > LONGEST_DRAIN
    assert seconds(read("cloudflared/config.yml")["grace-period"]) > LONGEST_DRAIN


def test_each_hop_before_the_gateway_ends_its_idle_connections_first_and_waits_longer_for_answers(cloud_run):
    nginx = (DEPLOY / "nginx/mcp-gateway.conf").read_text()
    upstream, server = nginx.split("server {", 1)
    ours = int(re.search(r"keepalive_timeout (\d+)s", upstream)[1])
    theirs = int(re.search(r"keepalive_timeout (\d+)s", server)[1])
    tunnel = seconds(read("cloudflared/config.yml")["ingress"][0]["originRequest"]["keepAliveTimeout"])
    assert ours < KEEP_ALIVE
    assert tunnel < KEEP_ALIVE
    assert tunnel < theirs
    waits = [int(each) for each in re.findall(r"proxy_read_timeout (\d+)s", server)]
    assert min(waits) > LONGEST_DRAIN
    assert max(waits) > LONGEST_STREAM
    assert cloud_run["timeoutSeconds"] > LONGEST_STREAM
    ingress = read("kubernetes/overlays/example/ingress.yaml")["metadata"]["annotations"]
    assert int(ingress["nginx.ingress.kubernetes.io/proxy-read-timeout"]) > LONGEST_STREAM


def test_nothing_runs_as_root_or_writes_to_its_own_program(compose, pod, dockerfile):
    assert re.search(r"^USER 10001:10001$", dockerfile, re.MULTILINE)
    assert dockerfile.index("USER 10001") > dockerfile.rindex("COPY")
    container = pod["containers"][0]["securityContext"]
    assert (pod["securityContext"]["runAsNonRoot"], container["readOnlyRootFilesystem"], container["allowPrivilegeEscalation"]) == (True, True, False)
    assert container["capabilities"] == {"drop": ["ALL"]}
    for name, service in compose["services"].items():
        assert (service["read_only"], service["cap_drop"], service["security_opt"]) == (True, ["ALL"], ["no-new-privileges:true"]), name


def test_only_what_listens_on_loopback_can_be_reached_from_outside(compose):
    published = {name: service.get("ports", []) for name, service in compose["services"].items()}
    assert published == {"gateway": ["127.0.0.1:8080:8080"], "redis": [], "ollama": []}
    assert compose["networks"]["back"]["internal"] is True
    assert compose["networks"]["front"]["ipam"]["config"][0]["gateway"] + "/32" == compose["services"]["gateway"]["environment"]["TRUSTED_PROXIES"]


def test_no_secret_is_a_plain_setting(compose, pod, cloud_run):
    secret = {name for row in rows() if row.secret for name in row.names}
    assert not secret & set(compose["services"]["gateway"]["environment"])
    assert not secret & set(read("kubernetes/base/configmap.yaml")["data"])
    assert not secret & {each["name"] for each in pod["containers"][0]["env"]}
    assert not [each for each in cloud_run["containers"][0]["env"] if each["name"] in secret and "value" in each]


def test_the_images_are_pinned_and_carry_the_version_of_the_code(compose, pod, dockerfile):
    images = [*re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE), *(service["image"] for service in compose["services"].values())]
    images += [pod["containers"][0]["image"], read("cloudrun/service.yaml")["spec"]["template"]["spec"]["containers"][0]["image"]]
    assert not [image for image in images if ":" not in image or image.endswith(":latest")]
    assert {image.rpartition(":")[2] for image in images if "servicenow-mcp-gateway" in image} == {__version__}
    assert read("kubernetes/overlays/example/kustomization.yaml")["images"][0]["newTag"] == __version__


def test_the_image_is_built_from_what_it_needs_and_from_nothing_secret(dockerfile):
    copied = {name for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.MULTILINE) for name in line.split()[:-1]}
    assert all((ROOT / name).exists() for name in copied)
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert let_in == copied
    assert "\n*\n" in (ROOT / ".dockerignore").read_text()


def test_the_rule_for_the_firewall_covers_every_path_that_servicenow_calls(tmp_path):
    expression = (DEPLOY / "cloudflared/waf-skip-rule.md").read_text().split("```")[1]
    prefixes = tuple(re.findall(r'starts_with\(http\.request\.uri\.path, "([^"]+)"\)', expression))
    exact = set(re.search(r"in \{(.+)\}", expression)[1].replace('"', "").split())
    stores = {"STATE_PATH": str(tmp_path / "state.db"), "DATABASE_URL": f"sqlite:///{tmp_path}/registry.db"}
    told = run("python", "-m", "flask", "routes", cwd=ROOT, env={**environment(), "FLASK_APP": "mcp_server.command_line", **SECRETS, **stores})
    paths = {line.split()[-1] for line in told.stdout.splitlines() if " /" in line}
    called = ("/mcp", "/oauth", "/register", "/.well-known", "/token", "/revoke", "/authorize", "/health")
    machine = {path for path in paths if path.startswith(called)}
    assert "/oauth/token" in machine
    uncovered = {path for path in machine if not path.startswith(prefixes) and path.split("<")[0].rstrip("/") not in exact}
    assert uncovered == set()


def test_cloudflared_gets_only_members_that_its_documentation_names():
    assert set(read("cloudflared/config.yml")["ingress"][0]["originRequest"]) == {
        "connectTimeout", "keepAliveTimeout", "keepAliveConnections", "noHappyEyeballs"}
    assert read("cloudflared/config.yml")["ingress"][-1] == {"service": "http_status:404"}  # it wants one rule for all the rest


def test_cloud_run_gets_an_object_of_the_right_kind(cloud_run):
    told = read("cloudrun/service.yaml")
    assert (told["apiVersion"], told["kind"]) == ("serving.knative.dev/v1", "Service")
    assert set(cloud_run) == {"serviceAccountName", "containerConcurrency", "timeoutSeconds", "containers"}
    assert json.dumps(told).count("secretKeyRef") == 4
    assert not {"PORT", "K_SERVICE"} & {each["name"] for each in cloud_run["containers"][0]["env"]}  # Cloud Run sets them itself, and refuses ours


def test_the_tools_are_there():
    for tool in ("shellcheck", "hadolint", "yamllint", "kubernetes-validate"):
        assert Path(sys.executable).with_name(tool).exists(), f"{tool} is missing: requirements-dev.txt names it"
    for tool in ("nginx", "logrotate"):
        assert shutil.which(tool) or Path("/usr/sbin", tool).exists(), f"{tool} is missing: bin/test installs it"
