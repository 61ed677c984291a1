-- Runs as trackers see them: what clients make, and what is mirrored of the project's own.

-- name: tracked_get^
-- One run.
SELECT id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage FROM tracked WHERE id = :id;

-- name: tracked_add!
-- A client's run begins.
INSERT INTO tracked (id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage, deleted_ms)
VALUES (:id, :experiment, 'client', :parent, :name, :made_by, 'RUNNING', :started_ms, NULL, 'active', NULL);

-- name: tracked_update!
-- How it stands now.
UPDATE tracked SET name = :name, status = :status, ended_ms = :ended_ms WHERE id = :id;

-- name: tracked_stage!
-- Delete it or bring it back.
UPDATE tracked SET stage = :stage, deleted_ms = :deleted_ms WHERE id = :id;

-- name: tracked_name!
-- Another name.
UPDATE tracked SET name = :name WHERE id = :id;

-- name: tracked_parent!
-- Another parent.
UPDATE tracked SET parent = :parent WHERE id = :id;

-- name: client_attempt_end!
-- The attempt of a client's run ended, or goes on.
UPDATE attempts SET status = :status, ended_at = :ended_at WHERE id = :id;

-- name: run_param_get$
-- One param.
SELECT value FROM run_params WHERE run = :run AND name = :name;

-- name: run_param_put*!
-- A param of a run, once for all.
INSERT INTO run_params (run, name, value) VALUES (:run, :name, :value) ON CONFLICT (run, name) DO NOTHING;

-- name: run_param_mirror*!
-- A param as a step said it last.
INSERT INTO run_params (run, name, value) VALUES (:run, :name, :value) ON CONFLICT (run, name) DO UPDATE SET value = excluded.value;

-- name: run_tag_put*!
-- A tag of a run.
INSERT INTO run_tags (run, name, value) VALUES (:run, :name, :value) ON CONFLICT (run, name) DO UPDATE SET value = excluded.value;

-- name: run_tag_drop!
-- Take a tag away.
DELETE FROM run_tags WHERE run = :run AND name = :name;

-- name: mirror_run!
-- A run of the project, as it stands now.
INSERT INTO tracked (id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage, deleted_ms)
VALUES (:id, :experiment, 'project', '', :name, '', :status, :started_ms, :ended_ms, 'active', NULL)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended_ms = excluded.ended_ms;

-- name: mirror_run_end!
-- How it ended.
UPDATE tracked SET status = :status, ended_ms = :ended_ms WHERE id = :id;

-- name: mirror_attempt*!
-- An attempt at a step of a run that is mirrored.
INSERT INTO tracked (id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage, deleted_ms)
SELECT :id, p.experiment, 'project', p.id, :name, '', :status, :started_ms, CAST(:ended_ms AS BIGINT), 'active', CAST(NULL AS BIGINT)
FROM tracked AS p WHERE p.id = :parent
ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended_ms = excluded.ended_ms;

-- name: mirror_is_due$
-- Whether runs of an older state are still to be mirrored.
SELECT value FROM counters WHERE name = 'untracked';

-- name: mirror_is_done!
-- They are.
UPDATE counters SET value = 0 WHERE name = 'untracked';

-- name: runs_untracked
-- Runs that are not mirrored yet, oldest first.
SELECT r.id FROM runs AS r WHERE r.origin = 'project' AND NOT EXISTS (SELECT 1 FROM tracked AS t WHERE t.id = r.id) ORDER BY r.started_at, r.id;
