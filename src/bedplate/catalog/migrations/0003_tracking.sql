-- Runs as trackers see them. Their times are milliseconds since the epoch, as the protocol has them; what is deleted is marked, and
-- `gc` takes it away.

-- Who began a run: the 'project' (`bedplate run`), or a 'client' of the tracking API.
ALTER TABLE runs ADD COLUMN origin TEXT NOT NULL DEFAULT 'project';
CREATE INDEX runs_of_project ON runs (started_at, id) WHERE origin = 'project';

-- 0 is what clients log to that name none; a project has one of its own name, made when it is first looked for.
CREATE TABLE experiments (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    stage TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX experiments_by_name ON experiments (name);
INSERT INTO experiments (id, name, stage, created_ms, updated_ms) VALUES (0, 'Default', 'active', 0, 0);

CREATE TABLE experiment_tags (
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (experiment, name)
) STRICT;

-- One row for each: a client's run (`id` is a row of `runs` and one of `attempts`), a run of the project, and each attempt at one of its
-- steps (`parent` is the run). Status in the protocol's words: RUNNING SCHEDULED FINISHED FAILED KILLED.
CREATE TABLE tracked (
    id TEXT PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    origin TEXT NOT NULL,
    parent TEXT NOT NULL,
    name TEXT NOT NULL,
    made_by TEXT NOT NULL,
    status TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    stage TEXT NOT NULL,
    deleted_ms INTEGER
) STRICT;
CREATE INDEX tracked_by_start ON tracked (experiment, stage, started_ms DESC, id);
CREATE INDEX tracked_by_parent ON tracked (parent);
-- Set until the runs of an older state are among the tracked.
INSERT INTO counters (name, value) VALUES ('untracked', 1);

-- Searches find a value by its beginning: an index entry has a limit, a value none.
CREATE TABLE run_params (
    run TEXT NOT NULL REFERENCES tracked (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_params_by_value ON run_params (name, substr(value, 1, 100));
CREATE TABLE run_tags (
    run TEXT NOT NULL REFERENCES tracked (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (run, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX run_tags_by_value ON run_tags (name, substr(value, 1, 100));

-- A metric of a run: its latest point (`number` null: not a number), found by value for searches. `points` has every point once:
-- `bits` is the value's 64 bits (IEEE 754), so that each value survives as it came.
CREATE TABLE curves (
    id INTEGER PRIMARY KEY,
    run TEXT NOT NULL REFERENCES tracked (id),
    experiment INTEGER NOT NULL,
    name TEXT NOT NULL,
    number REAL,
    bits INTEGER NOT NULL,
    at_step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX curves_by_run ON curves (run, name);
CREATE INDEX curves_by_value ON curves (experiment, name, number, run);
CREATE TABLE points (
    curve INTEGER NOT NULL REFERENCES curves (id),
    at_step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    bits INTEGER NOT NULL,
    PRIMARY KEY (curve, at_step, at_ms, bits)
) STRICT, WITHOUT ROWID;

-- What runs were trained or tested on, as they say it; `context` is that of the tags which says for what.
CREATE TABLE datasets (
    id INTEGER PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    source_type TEXT NOT NULL,
    source TEXT NOT NULL,
    schema TEXT NOT NULL,
    profile TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX datasets_by_digest ON datasets (experiment, name, digest);
CREATE TABLE run_datasets (
    run TEXT NOT NULL REFERENCES tracked (id),
    dataset INTEGER NOT NULL REFERENCES datasets (id),
    context TEXT NOT NULL DEFAULT '',
    tags TEXT NOT NULL,
    PRIMARY KEY (run, dataset)
) STRICT;
CREATE INDEX run_datasets_by_dataset ON run_datasets (dataset);

-- Models that a client logged (of the protocol's third version), and which runs took or gave them (`way`: in, out).
CREATE TABLE logged_models (
    id TEXT PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    name TEXT NOT NULL,
    model_type TEXT NOT NULL,
    run TEXT NOT NULL,
    status TEXT NOT NULL,
    message TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    deleted_ms INTEGER
) STRICT;
CREATE INDEX logged_models_by_time ON logged_models (experiment, created_ms DESC, id);
CREATE TABLE logged_params (
    model TEXT NOT NULL REFERENCES logged_models (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, name)
) STRICT;
CREATE TABLE logged_tags (
    model TEXT NOT NULL REFERENCES logged_models (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (model, name)
) STRICT;
CREATE TABLE logged_metrics (
    model TEXT NOT NULL REFERENCES logged_models (id),
    run TEXT NOT NULL,
    name TEXT NOT NULL,
    number REAL,
    bits INTEGER NOT NULL,
    at_step INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    dataset TEXT NOT NULL,
    dataset_digest TEXT NOT NULL,
    PRIMARY KEY (model, name, run, at_step, at_ms, bits, dataset, dataset_digest)
) STRICT;
CREATE TABLE run_models (
    run TEXT NOT NULL REFERENCES tracked (id),
    model TEXT NOT NULL REFERENCES logged_models (id),
    way TEXT NOT NULL,
    at_step INTEGER NOT NULL,
    PRIMARY KEY (run, model, way)
) STRICT;

-- A client's files while its run goes on and after: bytes lie in the store under their digest. `owner` is a run or a logged model.
CREATE TABLE client_files (
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    PRIMARY KEY (owner, path)
) STRICT;
CREATE INDEX client_files_by_digest ON client_files (sha256);

-- A file that a client sends in parts: the bytes of each lie in the store under their digest until the whole is put together.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    path TEXT NOT NULL,
    made_by TEXT NOT NULL,
    parts INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE upload_parts (
    upload TEXT NOT NULL REFERENCES uploads (id),
    number INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    size_bytes INTEGER NOT NULL,
    PRIMARY KEY (upload, number)
) STRICT;

-- What people say of models and their versions; the versions themselves are rows of `versions`, numbers are those.
CREATE TABLE registered_models (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    stage TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE registered_tags (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    tag TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, number, tag)
) STRICT;
CREATE TABLE registered_versions (
    name TEXT NOT NULL,
    number INTEGER NOT NULL,
    description TEXT NOT NULL,
    serving_stage TEXT NOT NULL,
    source TEXT NOT NULL,
    run TEXT NOT NULL,
    logged_model TEXT NOT NULL,
    made_by TEXT NOT NULL,
    origin TEXT NOT NULL,
    stage TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (name, number),
    FOREIGN KEY (name, number) REFERENCES versions (artifact, number)
) STRICT;
CREATE INDEX registered_versions_by_run ON registered_versions (run);
-- A client registers the same bytes again as another version, of another run: equal digests have more than one number then.
DROP INDEX versions_by_digest;
CREATE INDEX versions_by_digest ON versions (artifact, digest, kind);
-- An alias that was taken away, until it is given again.
CREATE TABLE withdrawn (
    promotion INTEGER PRIMARY KEY REFERENCES promotions (id),
    moved_by TEXT NOT NULL,
    at TEXT NOT NULL
) STRICT;

-- Traces: one row each; `client_id` is the caller's own name for it. `is_final`: its client has said how it ended.
CREATE TABLE traces (
    id TEXT PRIMARY KEY,
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    client_id TEXT NOT NULL,
    run TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    lasted_ms INTEGER,
    state TEXT NOT NULL,
    request TEXT NOT NULL,
    response TEXT NOT NULL,
    is_final INTEGER NOT NULL
) STRICT;
CREATE INDEX traces_by_start ON traces (experiment, started_ms DESC, id);
CREATE INDEX traces_by_run ON traces (run);
-- What is said of a trace: a 'tag' or 'metadata' (its text), an 'assessment' (its JSON, under its id).
CREATE TABLE trace_notes (
    trace TEXT NOT NULL REFERENCES traces (id),
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (trace, what, name)
) STRICT;
-- The spans of a trace as they came; `body` is the span in OTLP's JSON.
CREATE TABLE spans (
    trace TEXT NOT NULL REFERENCES traces (id),
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    status TEXT NOT NULL,
    started_ns INTEGER NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (trace, id)
) STRICT;

-- Datasets that language models are evaluated on; `records` counts them. A record is found by its id, which its inputs give: the same inputs
-- are one record. `body` is its JSON.
CREATE TABLE evaluations (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    schema TEXT NOT NULL,
    records INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    updated_by TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE evaluation_tags (
    evaluation TEXT NOT NULL REFERENCES evaluations (id),
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (evaluation, name)
) STRICT;
CREATE TABLE evaluation_experiments (
    evaluation TEXT NOT NULL REFERENCES evaluations (id),
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    PRIMARY KEY (evaluation, experiment)
) STRICT;
CREATE INDEX evaluation_experiments_by_experiment ON evaluation_experiments (experiment);
CREATE TABLE evaluation_records (
    number INTEGER PRIMARY KEY,
    evaluation TEXT NOT NULL REFERENCES evaluations (id),
    id TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    body TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX evaluation_records_by_id ON evaluation_records (evaluation, id);
CREATE INDEX evaluation_records_in_order ON evaluation_records (evaluation, number);

-- Who is told of what by HTTP; `secret` signs what is sent. A delivery is tried until it is taken or given up.
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    url TEXT NOT NULL,
    events TEXT NOT NULL,
    secret TEXT NOT NULL,
    status TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    webhook TEXT NOT NULL REFERENCES webhooks (id),
    event TEXT NOT NULL,
    body TEXT NOT NULL,
    status TEXT NOT NULL,
    tries INTEGER NOT NULL,
    next_ms INTEGER NOT NULL,
    answer TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_waiting ON deliveries (status, next_ms);

-- What was brought over from another tracker, so that it is brought once: `what` is experiment, run, logged or model; `here` is its id
-- in this record, `digest` is over all that the source said of it.
CREATE TABLE brought (
    source TEXT NOT NULL,
    what TEXT NOT NULL,
    id TEXT NOT NULL,
    here TEXT NOT NULL,
    digest TEXT NOT NULL,
    PRIMARY KEY (source, what, id)
) STRICT;
CREATE INDEX brought_here ON brought (what, here);
