-- The record as it is first made. Times are UTC text (`2026-01-31T07:00:00.000000Z`: sorts as time does), booleans 0 or 1,
-- mappings JSON text. Rows are only ever added or completed; nothing here is deleted but leases' holders and services.

-- `head` is the version that consumers read; `last` the highest number given.
CREATE TABLE artifacts (
    name TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    head INTEGER,
    last INTEGER NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    project TEXT NOT NULL,
    target TEXT NOT NULL,
    command TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    status TEXT NOT NULL,
    settings TEXT NOT NULL,
    moves_heads INTEGER NOT NULL,
    git_commit TEXT NOT NULL,
    git_dirty INTEGER NOT NULL,
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    process_started REAL NOT NULL
) STRICT;
CREATE INDEX runs_by_start ON runs (started_at, id);
CREATE INDEX runs_by_status ON runs (status);

-- What cache keys were made of, once for each different content: most runs repeat the last one's.
CREATE TABLE key_parts (
    digest TEXT PRIMARY KEY,
    parts TEXT NOT NULL
) STRICT;

CREATE TABLE steps (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    name TEXT NOT NULL,
    part TEXT NOT NULL,
    stage TEXT NOT NULL,
    status TEXT NOT NULL,
    why TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    key_parts TEXT REFERENCES key_parts (digest),
    result TEXT NOT NULL,
    started_at TEXT,
    ended_at TEXT,
    UNIQUE (run, name, part)
) STRICT;
CREATE INDEX steps_by_name ON steps (name, part, id) WHERE key_parts IS NOT NULL AND status IN ('done', 'skipped');

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    part TEXT NOT NULL,
    number INTEGER NOT NULL,
    fence INTEGER NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    status TEXT NOT NULL,
    cause TEXT NOT NULL,
    message TEXT NOT NULL,
    log TEXT NOT NULL,
    wall_s REAL NOT NULL,
    cpu_s REAL NOT NULL,
    peak_bytes INTEGER NOT NULL,
    energy_joules REAL NOT NULL,
    energy_basis TEXT NOT NULL,
    cost_usd REAL NOT NULL
) STRICT;
CREATE INDEX attempts_by_run ON attempts (run, step, part);
CREATE INDEX attempts_by_step ON attempts (step, started_at) WHERE status = 'done';
CREATE INDEX attempts_open ON attempts (started_at) WHERE status = 'running';

CREATE TABLE versions (
    artifact TEXT NOT NULL REFERENCES artifacts (name),
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    digest TEXT NOT NULL,
    uri TEXT NOT NULL,
    table_version INTEGER,
    schema TEXT NOT NULL,
    value TEXT,
    rows INTEGER,
    size_bytes INTEGER NOT NULL,
    meta TEXT NOT NULL,
    created_at TEXT NOT NULL,
    attempt TEXT NOT NULL REFERENCES attempts (id) DEFERRABLE INITIALLY DEFERRED,
    moved_head INTEGER NOT NULL,
    PRIMARY KEY (artifact, number)
) STRICT;
CREATE UNIQUE INDEX versions_by_digest ON versions (artifact, digest, kind);

-- The attempt whose outputs answer a cache key.
CREATE TABLE cache (
    cache_key TEXT PRIMARY KEY,
    attempt TEXT NOT NULL REFERENCES attempts (id)
) STRICT;

-- Lineage: what an attempt was handed (`number` null: absent) and what it made or made again.
CREATE TABLE inputs (
    attempt TEXT NOT NULL REFERENCES attempts (id),
    parameter TEXT NOT NULL,
    artifact TEXT NOT NULL,
    number INTEGER,
    view TEXT NOT NULL,
    PRIMARY KEY (attempt, parameter)
) STRICT;
CREATE INDEX inputs_by_version ON inputs (artifact, number);

CREATE TABLE outputs (
    attempt TEXT NOT NULL REFERENCES attempts (id),
    position INTEGER NOT NULL,
    artifact TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (attempt, position),
    FOREIGN KEY (artifact, number) REFERENCES versions (artifact, number)
) STRICT;
CREATE INDEX outputs_by_version ON outputs (artifact, number);

-- What a step said: metrics (`number`; null is not-a-number), params and tags and files (`value`, JSON).
CREATE TABLE noted (
    attempt TEXT NOT NULL REFERENCES attempts (id),
    position INTEGER NOT NULL,
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    at_step INTEGER,
    number REAL,
    value TEXT,
    PRIMARY KEY (attempt, position)
) STRICT;
CREATE INDEX noted_by_name ON noted (name, what);

-- What each attempt read of its sources (`entries`, JSON), and which attempt's offsets the head stands on.
CREATE TABLE source_entries (
    attempt TEXT NOT NULL REFERENCES attempts (id),
    step TEXT NOT NULL,
    parameter TEXT NOT NULL,
    entries TEXT NOT NULL,
    PRIMARY KEY (attempt, parameter)
) STRICT;
CREATE TABLE source_heads (
    step TEXT NOT NULL,
    parameter TEXT NOT NULL,
    attempt TEXT NOT NULL,
    PRIMARY KEY (step, parameter),
    FOREIGN KEY (attempt, parameter) REFERENCES source_entries (attempt, parameter)
) STRICT;

CREATE TABLE verdicts (
    id INTEGER PRIMARY KEY,
    check_name TEXT NOT NULL,
    check_version INTEGER NOT NULL,
    model TEXT NOT NULL,
    model_version INTEGER NOT NULL,
    passed INTEGER NOT NULL,
    promotes TEXT NOT NULL,
    at TEXT NOT NULL,
    attempt TEXT NOT NULL
) STRICT;
CREATE INDEX verdicts_by_model ON verdicts (model, model_version);

-- Every move of an alias, for ever: today's alias is the last row, and which versions are barred follows from the rows.
CREATE TABLE promotions (
    id INTEGER PRIMARY KEY,
    model TEXT NOT NULL,
    alias TEXT NOT NULL,
    version INTEGER NOT NULL,
    before INTEGER,
    moved_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    at TEXT NOT NULL,
    check_name TEXT NOT NULL,
    check_version INTEGER,
    FOREIGN KEY (model, version) REFERENCES versions (artifact, number)
) STRICT;
CREATE INDEX promotions_by_alias ON promotions (model, alias, id);

-- A released lease stays with an empty holder: its fence is never given twice.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence INTEGER NOT NULL,
    expires_at TEXT NOT NULL
) STRICT;

CREATE TABLE events (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    at TEXT NOT NULL,
    data TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_kind ON events (kind, at);
CREATE INDEX events_by_time ON events (at);

CREATE TABLE services (
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    process_started REAL NOT NULL,
    models TEXT NOT NULL,
    started_at TEXT NOT NULL,
    heartbeat TEXT NOT NULL,
    PRIMARY KEY (name, url)
) STRICT;

CREATE TABLE forecasts (
    run TEXT NOT NULL REFERENCES runs (id),
    step TEXT NOT NULL,
    part TEXT NOT NULL,
    quantity TEXT NOT NULL,
    middle REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    basis TEXT NOT NULL,
    samples INTEGER NOT NULL,
    PRIMARY KEY (run, step, part, quantity)
) STRICT;
CREATE INDEX forecasts_by_step ON forecasts (step);

-- `stamp` grows whenever a head or an alias moves: what pollers look at.
CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters (name, value) VALUES ('stamp', 0);
