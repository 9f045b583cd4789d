"""Asks the secret managers: `python -m config.secret_managers` reads references from stdin, and writes values or problems to stdout, as JSON.

Each client library is imported when a reference needs it, and finds its credentials as it always does: a service account, an instance's
role, a managed identity, VAULT_TOKEN.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any
from urllib.parse import urlsplit

from config.secret_references import Reference, parse

PIP = "pip install -r requirements-secrets.txt"
PACKAGES = {
    "gcp-sm": "google-cloud-secret-manager", "aws-sm": "boto3", "azure-kv": "azure-keyvault-secrets azure-identity", "vault": "hvac"}
PATIENCE = 5.0
"""Seconds for one request."""
LONGEST_REASON = 200
LOOPBACK = ("localhost", "127.0.0.1", "::1")

Found = tuple[str, str]
"""The content of the secret, and its version."""


class NotFetched(Exception):
    """The text says why, for an operator."""


def from_google(reference: Reference) -> Found:
    """GCP_SM_ENDPOINT: a regional endpoint, if the secret is kept in one."""
    from google.cloud import secretmanager  # noqa: PLC0415

    endpoint = os.environ.get("GCP_SM_ENDPOINT")  # noqa: TID251 - this is the command line of a process of its own
    client = secretmanager.SecretManagerServiceClient(transport="rest", client_options={"api_endpoint": endpoint} if endpoint else None)
    project, _, secret = reference.secret.removeprefix("projects/").replace("/secrets/", "/", 1).partition("/")
    secret, _, version = secret.partition("/versions/")
    name = f"projects/{project}/secrets/{secret}/versions/{reference.version or version or 'latest'}"
    answer = client.access_secret_version(name=name, timeout=PATIENCE, retry=None)
    return answer.payload.data.decode(), answer.name.rpartition("/")[2]


def from_amazon(reference: Reference) -> Found:
    import boto3  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415

    region = reference.secret.split(":")[3] if reference.secret.startswith("arn:") else None
    client = boto3.client("secretsmanager", region_name=region, config=Config(
        connect_timeout=PATIENCE, read_timeout=PATIENCE, retries={"total_max_attempts": 2}))
    which = {"VersionId": reference.version} if reference.version else {"VersionStage": reference.stage or "AWSCURRENT"}
    answer = client.get_secret_value(SecretId=reference.secret, **which)
    if "SecretString" not in answer:
        raise NotFetched("it is binary, and a text is needed")
    return str(answer["SecretString"]), str(answer["VersionId"])


def from_azure(reference: Reference) -> Found:
    from azure.identity import DefaultAzureCredential  # noqa: PLC0415
    from azure.keyvault.secrets import SecretClient  # noqa: PLC0415

    vault, _, secret = reference.secret.partition("/")
    name, _, version = secret.partition("/")
    host = vault if "." in vault or ":" in vault else f"{vault}.vault.azure.net"
    own = urlsplit(f"https://{host}").hostname in LOOPBACK  # a vault of one's own names Azure in its challenge
    bounds = {"connection_timeout": PATIENCE, "read_timeout": PATIENCE, "retry_total": 1}
    with DefaultAzureCredential() as credential, SecretClient(
            f"https://{host}", credential, verify_challenge_resource=not own, **bounds) as client:
        answer = client.get_secret(name, reference.version or version or None)
    return answer.value or "", answer.properties.version or ""


def from_vault(reference: Reference) -> Found:
    """Key/value engine, version 2. With VAULT_TOKEN, or VAULT_ROLE_ID and VAULT_SECRET_ID (AppRole)."""
    import hvac  # noqa: PLC0415

    environ = os.environ  # noqa: TID251 - this is the command line of a process of its own
    if not environ.get("VAULT_ADDR"):
        raise NotFetched("VAULT_ADDR is not set")
    client = hvac.Client(timeout=PATIENCE, namespace=environ.get("VAULT_NAMESPACE"))
    if environ.get("VAULT_ROLE_ID"):
        client.auth.approle.login(environ["VAULT_ROLE_ID"], environ.get("VAULT_SECRET_ID"))
    mount, _, path = reference.secret.partition("/")
    answer = client.secrets.kv.v2.read_secret_version(
        path, version=int(reference.version) if reference.version else None, mount_point=mount, raise_on_deleted_version=True)["data"]
    return json.dumps(answer["data"]), str(answer["metadata"]["version"])


MANAGERS: dict[str, Callable[[Reference], Found]] = {
    "gcp-sm": from_google, "aws-sm": from_amazon, "azure-kv": from_azure, "vault": from_vault}


def answer(text: str) -> dict[str, str]:
    """What `Fetched` is made of."""
    try:
        reference = _parsed(text)
        content, version = MANAGERS[reference.scheme](reference)
        return {"value": member_of(content, reference), "version": version, "problem": ""}
    except ImportError:
        scheme = text.partition(":")[0]
        problem = f"it needs {PACKAGES[scheme]}. Run: {PIP}"
    except NotFetched as error:
        problem = str(error)
    except Exception as error:  # noqa: BLE001 - each library has errors of its own
        problem = f"{type(error).__name__}: {' '.join(str(error).split())}"[:LONGEST_REASON]
    return {"value": "", "version": "", "problem": problem.rstrip(".") + "."}


def member_of(content: str, reference: Reference) -> str:
    """The whole secret, or one member of the JSON object that it is. A secret of Vault is always an object: its only member, or the one named."""
    if not reference.member and reference.scheme != "vault":
        return content.strip()
    try:
        members: Any = json.loads(content)
    except ValueError:
        members = None
    if not isinstance(members, dict):
        raise NotFetched("it is no JSON object, so nothing in it has a name: leave # out")
    named = reference.member or (next(iter(members)) if len(members) == 1 else "")
    if not named:
        raise NotFetched("it has several members: add #NAME")
    if not isinstance(members.get(named), str):
        raise NotFetched(f"it has no text that is called {named}")
    return str(members[named]).strip()


def _parsed(text: str) -> Reference:
    try:
        return parse(text)
    except ValueError as error:
        raise NotFetched(f"it {error}") from None


def main() -> None:
    """Say what has come in time, and end: a library that still waits is not waited for."""
    asked: dict[str, Any] = json.load(sys.stdin)
    pool = ThreadPoolExecutor(len(asked["references"]) or 1)
    answers = {text: pool.submit(answer, text) for text in asked["references"]}
    wait(answers.values(), asked["timeout"])
    late = {"value": "", "version": "", "problem": f"no answer within {asked['timeout']:g} seconds."}
    sys.stdout.write(json.dumps({text: future.result() if future.done() else late for text, future in answers.items()}))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
