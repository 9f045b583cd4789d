"""The tables of the registry. A column is named as the field that it holds; `migrations/` makes them."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, MetaData, Table, Text

metadata = MetaData()

clients = Table(
    "clients", metadata,
    Column("client_id", Text, primary_key=True),
    Column("client_name", Text, nullable=False),
    Column("redirect_uris", JSON, nullable=False),
    Column("grant_types", JSON, nullable=False),
    Column("response_types", JSON, nullable=False),
    Column("token_endpoint_auth_method", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("scope", Text, nullable=False),
    Column("client_secret_digests", JSON, nullable=False),
    Column("pkce_required", Boolean, nullable=False),
    Column("origin", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("registration_access_token_digest", Text),
    Column("registered_with", Text),
    Column("instance", Text),
    Column("last_used_at", Double),
)

users = Table(
    "users", metadata,
    Column("user_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("folded_username", Text, nullable=False, unique=True),  # without regard to case
    Column("password_hash", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("operator", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("issuer", Text),
    Column("external_subject", Text),
    Index("users_identity", "issuer", "external_subject", unique=True),
)

initial_access_tokens = Table(
    "initial_access_tokens", metadata,
    Column("token_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("token_digest", Text, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("uses_left", Integer),
    Column("instance", Text),
)

signing_keys = Table(
    "signing_keys", metadata,
    Column("kid", Text, primary_key=True),
    Column("algorithm", Text, nullable=False),
    Column("encrypted_jwk", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("retired_at", Double),
)

imports = Table(
    "imports", metadata,
    Column("content_digest", Text, primary_key=True),
    Column("imported_at", Double, nullable=False),
)

revocations = Table(
    "revocations", metadata,
    Column("sequence", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("revoked_id", Text, nullable=False, index=True),
    Column("until", Double, nullable=False, index=True),
    sqlite_autoincrement=True,  # a number is not given again after a sweep
)
