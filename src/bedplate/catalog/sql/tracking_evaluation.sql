-- Datasets for evaluation: what they are, their tags and experiments, their records.

-- name: evaluation_get^
-- One dataset.
SELECT id, name, digest, schema, records, created_by, updated_by, created_ms, updated_ms FROM evaluations WHERE id = :id;

-- name: evaluation_put!
-- A dataset as it is now.
INSERT INTO evaluations (id, name, digest, schema, records, created_by, updated_by, created_ms, updated_ms)
VALUES (:id, :name, :digest, :schema, :records, :created_by, :updated_by, :created_ms, :updated_ms)
ON CONFLICT (id) DO UPDATE SET digest = excluded.digest, schema = excluded.schema, records = excluded.records,
    updated_by = excluded.updated_by, updated_ms = excluded.updated_ms;

-- name: evaluation_drop!
-- A deleted dataset.
DELETE FROM evaluations WHERE id = :id;

-- name: evaluation_tags
-- The tags of a dataset.
SELECT name, value FROM evaluation_tags WHERE evaluation = :id ORDER BY name;

-- name: evaluation_tag_put*!
-- A tag, in the place of the one before.
INSERT INTO evaluation_tags (evaluation, name, value) VALUES (:id, :name, :value)
ON CONFLICT (evaluation, name) DO UPDATE SET value = excluded.value;

-- name: evaluation_tag_drop!
-- A tag that goes.
DELETE FROM evaluation_tags WHERE evaluation = :id AND name = :name;

-- name: evaluation_tags_drop!
-- The tags of a deleted dataset.
DELETE FROM evaluation_tags WHERE evaluation = :id;

-- name: evaluation_experiments
-- The experiments that a dataset is of.
SELECT experiment FROM evaluation_experiments WHERE evaluation = :id ORDER BY experiment;

-- name: evaluation_experiment_put*!
-- A dataset is of an experiment too.
INSERT INTO evaluation_experiments (evaluation, experiment) VALUES (:id, :experiment) ON CONFLICT (evaluation, experiment) DO NOTHING;

-- name: evaluation_experiment_drop*!
-- It is no more.
DELETE FROM evaluation_experiments WHERE evaluation = :id AND experiment = :experiment;

-- name: evaluation_experiments_drop!
-- A deleted dataset is of none.
DELETE FROM evaluation_experiments WHERE evaluation = :id;

-- name: evaluation_record_put*!
-- A record of a dataset, as it is now; it keeps its place.
INSERT INTO evaluation_records (evaluation, id, created_ms, updated_ms, body) VALUES (:evaluation, :id, :created_ms, :updated_ms, :body)
ON CONFLICT (evaluation, id) DO UPDATE SET updated_ms = excluded.updated_ms, body = excluded.body;

-- name: evaluation_records_after
-- The next records, in the order in which they came.
SELECT number, id, created_ms, updated_ms, body FROM evaluation_records
WHERE evaluation = :evaluation AND number > :after ORDER BY number LIMIT :limit;

-- name: evaluation_record_drop!
-- A record that goes.
DELETE FROM evaluation_records WHERE evaluation = :evaluation AND id = :id;

-- name: evaluation_records_drop!
-- The records of a deleted dataset.
DELETE FROM evaluation_records WHERE evaluation = :id;
