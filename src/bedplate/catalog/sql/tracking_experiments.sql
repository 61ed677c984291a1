-- Experiments and their tags.

-- name: experiment_get^
-- One experiment.
SELECT id, name, stage, created_ms, updated_ms FROM experiments WHERE id = :id;

-- name: experiment_by_name^
-- The experiment of a name, deleted or not.
SELECT id, name, stage, created_ms, updated_ms FROM experiments WHERE name = :name;

-- name: experiment_add$
-- Make an experiment; nothing where the name is taken.
INSERT INTO experiments (name, stage, created_ms, updated_ms) VALUES (:name, 'active', :now_ms, :now_ms)
ON CONFLICT (name) DO NOTHING RETURNING id;

-- name: experiment_rename!
-- Give it another name.
UPDATE experiments SET name = :name, updated_ms = :now_ms WHERE id = :id;

-- name: experiment_stage!
-- Delete it or bring it back.
UPDATE experiments SET stage = :stage, updated_ms = :now_ms WHERE id = :id;

-- name: experiment_runs_deleted!
-- Delete what runs it has, at the same moment.
UPDATE tracked SET stage = 'deleted', deleted_ms = :now_ms WHERE experiment = :id AND stage = 'active';

-- name: experiment_runs_restored!
-- Bring back what was deleted with it.
UPDATE tracked SET stage = 'active', deleted_ms = NULL WHERE experiment = :id AND stage = 'deleted' AND deleted_ms = :deleted_ms;

-- name: experiment_tags_of
-- The tags of an experiment.
SELECT name, value FROM experiment_tags WHERE experiment = :id ORDER BY name;

-- name: experiment_tag_put*!
-- Tag it, or say something else of it.
INSERT INTO experiment_tags (experiment, name, value) VALUES (:id, :name, :value)
ON CONFLICT (experiment, name) DO UPDATE SET value = excluded.value;

-- name: experiment_tag_drop!
-- Take a tag away.
DELETE FROM experiment_tags WHERE experiment = :id AND name = :name;
