-- Who may do what, and who did. Nothing here holds a password, token or session: only what is needed to recognise one.

CREATE TABLE accounts (
    name TEXT PRIMARY KEY,
    password TEXT NOT NULL,
    is_admin INTEGER NOT NULL,
    totp TEXT NOT NULL,
    totp_last INTEGER NOT NULL,
    subject TEXT NOT NULL,
    active INTEGER NOT NULL,
    created_at TEXT NOT NULL,
    changed_at TEXT NOT NULL
) STRICT;
CREATE INDEX accounts_by_subject ON accounts (subject);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    role TEXT NOT NULL,
    project TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
) STRICT;
CREATE UNIQUE INDEX tokens_by_digest ON tokens (digest);

CREATE TABLE logins (
    digest TEXT PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    csrf TEXT NOT NULL,
    created_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    ended_at TEXT
) STRICT;
CREATE INDEX logins_by_account ON logins (account);

-- `resource` is `experiment:ID`, `model:NAME` or `*`.
CREATE TABLE grants (
    account TEXT NOT NULL REFERENCES accounts (name),
    resource TEXT NOT NULL,
    role TEXT NOT NULL,
    granted_by TEXT NOT NULL,
    granted_at TEXT NOT NULL,
    PRIMARY KEY (account, resource)
) STRICT;
CREATE INDEX grants_by_resource ON grants (resource);

-- Every act that changed something or was refused: `digest` is over the row and the digest before it.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    outcome TEXT NOT NULL,
    data TEXT NOT NULL,
    digest TEXT NOT NULL
) STRICT;
CREATE INDEX audit_by_resource ON audit (resource, id);

-- The head of the chain as it was signed: what shows that the end was cut off.
CREATE TABLE audit_heads (
    entry INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    at TEXT NOT NULL,
    signature TEXT NOT NULL,
    key TEXT NOT NULL
) STRICT;

-- Answers to requests that made something new, by a digest of the request, for a minute: a retry is told what was made.
CREATE TABLE answers (
    digest TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX answers_by_time ON answers (at_ms);
