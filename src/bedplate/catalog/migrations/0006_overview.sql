-- What pages over many runs ask: views that people saved, which keys there are to ask for, and the top of nested runs in order.

-- A page with its filter, columns and order, under a name of the account's own: `address` is what stands after `?`, of the page `room`.
CREATE TABLE saved_views (
    account TEXT NOT NULL,
    room TEXT NOT NULL,
    name TEXT NOT NULL,
    address TEXT NOT NULL,
    saved_at TEXT NOT NULL,
    PRIMARY KEY (account, room, name)
) STRICT, WITHOUT ROWID;

-- The names of the metrics, params and tags (`what`) that runs of an experiment ever said: what is suggested is read from here.
CREATE TABLE run_keys (
    experiment INTEGER NOT NULL REFERENCES experiments (id),
    what TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (experiment, what, name)
) STRICT, WITHOUT ROWID;
INSERT INTO run_keys (experiment, what, name) SELECT DISTINCT experiment, 'metric', name FROM curves;
INSERT INTO run_keys (experiment, what, name) SELECT DISTINCT t.experiment, 'param', p.name FROM run_params AS p JOIN tracked AS t ON t.id = p.run;
INSERT INTO run_keys (experiment, what, name) SELECT DISTINCT t.experiment, 'tag', p.name FROM run_tags AS p JOIN tracked AS t ON t.id = p.run;

CREATE INDEX tracked_top ON tracked (experiment, stage, started_ms DESC, id) WHERE parent = '';
