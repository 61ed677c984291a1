-- What pages over runs ask: which keys there are.

-- name: run_key_put*!
-- A key that a run says; nothing where its experiment knows it.
INSERT INTO run_keys (experiment, what, name) SELECT t.experiment, :what, :name FROM tracked AS t WHERE t.id = :run
ON CONFLICT (experiment, what, name) DO NOTHING;

-- name: gone_run_keys!
-- The keys of an experiment that is taken out of the record.
DELETE FROM run_keys WHERE experiment = :id;
