"""The tables of the SQLite file of the hot state. `hits` are the MCP requests, `limits` what Flask-Limiter counts."""

from __future__ import annotations

SUBJECT = "json_extract(CAST(record AS TEXT), '$.subject')"
"""An index on what stands in the record: a column of its own would have to be added to files that are there already."""

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS grants (grant_id TEXT PRIMARY KEY, expires_at REAL NOT NULL, created_at REAL NOT NULL, record BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS grants_expiry ON grants (expires_at)",
    f"CREATE INDEX IF NOT EXISTS grants_subject ON grants ({SUBJECT})",
    """CREATE TABLE IF NOT EXISTS authorization_codes
    (code_digest TEXT PRIMARY KEY, expires_at REAL NOT NULL, claimed INTEGER NOT NULL, record BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS authorization_codes_expiry ON authorization_codes (expires_at)",
    """CREATE TABLE IF NOT EXISTS device_authorizations
    (device_code_digest TEXT PRIMARY KEY, user_code_digest TEXT NOT NULL, expires_at REAL NOT NULL, codes_expire_at REAL NOT NULL,
    interval INTEGER NOT NULL, polled_at REAL, approved INTEGER, subject TEXT NOT NULL, grant_id TEXT NOT NULL, claimed INTEGER NOT NULL,
    record BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS device_authorizations_expiry ON device_authorizations (expires_at)",
    "CREATE INDEX IF NOT EXISTS device_authorizations_user_code ON device_authorizations (user_code_digest)",
    """CREATE TABLE IF NOT EXISTS refresh_tokens
    (token_digest TEXT PRIMARY KEY, expires_at REAL NOT NULL, rotated_at REAL, dead INTEGER NOT NULL, successor_digest TEXT, record BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS refresh_tokens_expiry ON refresh_tokens (expires_at)",
    "CREATE TABLE IF NOT EXISTS single_use (single_use_id TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS single_use_expiry ON single_use (expires_at)",
    """CREATE TABLE IF NOT EXISTS answers
    (question TEXT PRIMARY KEY, expires_at REAL NOT NULL, answer TEXT NOT NULL, answered_at REAL NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS answers_expiry ON answers (expires_at)",
    "CREATE TABLE IF NOT EXISTS revocations (revoked_id TEXT PRIMARY KEY, expires_at REAL NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS revocations_expiry ON revocations (expires_at)",
    "CREATE TABLE IF NOT EXISTS revocations_complete (only_row INTEGER PRIMARY KEY CHECK (only_row = 1))",
    "CREATE TABLE IF NOT EXISTS hits (counter_window TEXT PRIMARY KEY, expires_at REAL NOT NULL, hits INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS hits_expiry ON hits (expires_at)",
    "CREATE TABLE IF NOT EXISTS limits (name TEXT PRIMARY KEY, expires_at REAL NOT NULL, hits INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS limits_expiry ON limits (expires_at)",
    """CREATE TABLE IF NOT EXISTS journals
    (position INTEGER PRIMARY KEY AUTOINCREMENT, journal TEXT NOT NULL, expires_at REAL NOT NULL, content BLOB NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS journals_order ON journals (journal, position)",
    "CREATE INDEX IF NOT EXISTS journals_expiry ON journals (expires_at)",
    """CREATE TABLE IF NOT EXISTS sessions
    (session_id TEXT PRIMARY KEY, expires_at REAL NOT NULL, ended INTEGER NOT NULL DEFAULT 0, log_level TEXT) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS sessions_expiry ON sessions (expires_at)",
    """CREATE TABLE IF NOT EXISTS session_subscriptions
    (session_id TEXT NOT NULL, uri TEXT NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (session_id, uri))""",
    "CREATE INDEX IF NOT EXISTS session_subscriptions_expiry ON session_subscriptions (expires_at)",
    """CREATE TABLE IF NOT EXISTS listings
    (name TEXT PRIMARY KEY, expires_at REAL NOT NULL, digest TEXT NOT NULL, changed_at REAL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS listings_expiry ON listings (expires_at)",
    "CREATE TABLE IF NOT EXISTS chats (chat TEXT PRIMARY KEY, expires_at REAL NOT NULL, turns TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS chats_expiry ON chats (expires_at)",
    """CREATE TABLE IF NOT EXISTS tasks
    (task_id TEXT PRIMARY KEY, owner TEXT NOT NULL, tool TEXT NOT NULL, work BLOB NOT NULL, created_at REAL NOT NULL, expires_at REAL NOT NULL,
    updated_at REAL NOT NULL, status TEXT NOT NULL, message TEXT NOT NULL, outcome BLOB NOT NULL, tries INTEGER NOT NULL, lease TEXT NOT NULL,
    claimable_at REAL NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS tasks_waiting ON tasks (claimable_at) WHERE status = 'working'",
    "CREATE INDEX IF NOT EXISTS tasks_unfinished ON tasks (owner) WHERE status IN ('working', 'input_required')",
    "CREATE INDEX IF NOT EXISTS tasks_expiry ON tasks (expires_at)",
    """CREATE TABLE IF NOT EXISTS task_questions
    (task_id TEXT NOT NULL, key TEXT NOT NULL, expires_at REAL NOT NULL, question BLOB NOT NULL, answer BLOB, PRIMARY KEY (task_id, key))""",
    "CREATE INDEX IF NOT EXISTS task_questions_expiry ON task_questions (expires_at)",
)

SWEPT_AT_ONCE = 500
SWEPT = (
    ("grants", "grant_id"),
    ("authorization_codes", "code_digest"),
    ("device_authorizations", "device_code_digest"),
    ("refresh_tokens", "token_digest"),
    ("single_use", "single_use_id"),
    ("answers", "question"),
    ("revocations", "revoked_id"),
    ("hits", "counter_window"),
    ("limits", "name"),
    ("journals", "position"),
    ("sessions", "session_id"),
    ("session_subscriptions", "rowid"),
    ("listings", "name"),
    ("chats", "chat"),
    ("tasks", "task_id"),
    ("task_questions", "rowid"),
)
"""Each table whose rows expire, and its key."""
