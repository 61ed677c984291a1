-- Registered models and their versions, as clients see them. A version made by the project has a row too, of origin 'project'.

-- name: registered_get^
-- A registered model, deleted or not.
SELECT name, description, stage, created_ms, updated_ms FROM registered_models WHERE name = :name;

-- name: registered_put!
-- A model is registered (again).
INSERT INTO registered_models (name, description, stage, created_ms, updated_ms) VALUES (:name, :description, 'active', :at_ms, :at_ms)
ON CONFLICT (name) DO UPDATE SET description = excluded.description, stage = 'active', created_ms = excluded.created_ms,
    updated_ms = excluded.updated_ms;

-- name: registered_seen!
-- A version of a model was made: the model is known, and has changed.
INSERT INTO registered_models (name, description, stage, created_ms, updated_ms) VALUES (:name, '', 'active', :at_ms, :at_ms)
ON CONFLICT (name) DO UPDATE SET stage = 'active', updated_ms = excluded.updated_ms;

-- name: registered_touch!
-- A model has changed.
UPDATE registered_models SET updated_ms = :at_ms WHERE name = :name;

-- name: registered_describe!
-- What people say of a model.
UPDATE registered_models SET description = :description, updated_ms = :at_ms WHERE name = :name;

-- name: registered_end!
-- A model is deleted.
UPDATE registered_models SET stage = 'deleted', updated_ms = :at_ms WHERE name = :name;

-- name: registered_artifact!
-- The model as an artifact of the record, without a version yet.
INSERT INTO artifacts (name, kind, head, last) VALUES (:name, 'model', NULL, 0) ON CONFLICT (name) DO NOTHING;

-- name: artifact_kind$
-- The kind of an artifact.
SELECT kind FROM artifacts WHERE name = :name;

-- name: registered_tags
-- Tags of a model (number 0) or of a version.
SELECT tag, value FROM registered_tags WHERE name = :name AND number = :number ORDER BY tag;

-- name: registered_tag_put!
-- A tag of a model or version.
INSERT INTO registered_tags (name, number, tag, value) VALUES (:name, :number, :tag, :value)
ON CONFLICT (name, number, tag) DO UPDATE SET value = excluded.value;

-- name: registered_tag_drop!
-- A tag is taken away.
DELETE FROM registered_tags WHERE name = :name AND number = :number AND tag = :tag;

-- name: registered_tags_drop!
-- Every tag of a model and of its versions.
DELETE FROM registered_tags WHERE name = :name;

-- name: registered_version^
-- One version.
SELECT r.name, r.number, r.description, r.serving_stage, r.source, r.run, r.logged_model, r.made_by, r.origin, r.stage, r.created_ms,
       r.updated_ms, v.digest, v.meta
FROM registered_versions AS r JOIN versions AS v ON v.artifact = r.name AND v.number = r.number
WHERE r.name = :name AND r.number = :number;

-- name: registered_latest
-- The newest version of each stage of a model.
SELECT r.name, r.number, r.description, r.serving_stage, r.source, r.run, r.logged_model, r.made_by, r.origin, r.stage, r.created_ms,
       r.updated_ms, v.digest, v.meta
FROM (SELECT serving_stage, max(number) AS number FROM registered_versions
      WHERE name = :name AND stage = 'active' GROUP BY serving_stage) AS l
JOIN registered_versions AS r ON r.name = :name AND r.number = l.number
JOIN versions AS v ON v.artifact = r.name AND v.number = r.number
ORDER BY r.number DESC;

-- name: registered_numbers
-- The versions of a model that are not deleted, with where they come from.
SELECT number, origin FROM registered_versions WHERE name = :name AND stage = 'active' ORDER BY number;

-- name: registered_version_add!
-- A version is registered; one that is known already stays as it is.
INSERT INTO registered_versions (name, number, description, serving_stage, source, run, logged_model, made_by, origin, stage, created_ms,
    updated_ms)
VALUES (:name, :number, :description, 'None', :source, :run, :logged_model, :made_by, :origin, 'active', :at_ms, :at_ms)
ON CONFLICT (name, number) DO NOTHING;

-- name: registered_version_describe!
-- What people say of a version.
UPDATE registered_versions SET description = :description, updated_ms = :at_ms WHERE name = :name AND number = :number;

-- name: registered_version_stage!
-- The stage of a version in the old sense: None, Staging, Production, Archived.
UPDATE registered_versions SET serving_stage = :serving_stage, updated_ms = :at_ms WHERE name = :name AND number = :number;

-- name: registered_archive!
-- The other versions of a stage are archived.
UPDATE registered_versions SET serving_stage = 'Archived', updated_ms = :at_ms
WHERE name = :name AND number <> :number AND serving_stage = :serving_stage AND stage = 'active';

-- name: registered_version_end!
-- A version is deleted: `gc` gives its bytes back.
UPDATE registered_versions SET stage = 'deleted', updated_ms = :at_ms WHERE name = :name AND number = :number;

-- name: registered_deleted
-- The deleted versions of a model.
SELECT number FROM registered_versions WHERE name = :name AND stage = 'deleted';

-- name: registered_missing
-- Versions of models that no row here stands for: of a state older than the registry.
SELECT v.artifact, v.number, v.created_at, v.attempt FROM versions AS v
WHERE v.kind = 'model' AND NOT EXISTS (SELECT 1 FROM registered_versions AS r WHERE r.name = v.artifact AND r.number = v.number)
ORDER BY v.artifact, v.number;

-- name: registered_of_model
-- The versions that a logged model was registered as.
SELECT name, number FROM registered_versions WHERE logged_model = :logged_model AND stage = 'active' ORDER BY name, number;

-- name: output_next$
-- The next place among what an attempt made.
SELECT coalesce(max(position), -1) + 1 FROM outputs WHERE attempt = :attempt;

-- name: attempt_there$
-- Whether there is an attempt of this id.
SELECT EXISTS (SELECT 1 FROM attempts WHERE id = :id);

-- name: client_head$
-- Whether an artifact has no head, or one that a client made.
SELECT NOT EXISTS (SELECT 1 FROM artifacts AS a JOIN registered_versions AS r ON r.name = a.name AND r.number = a.head
                   WHERE a.name = :name AND r.origin <> 'client');

-- name: registration_run!
-- Somebody registered what no run of the record made.
INSERT INTO runs (id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid,
    process_started, origin)
VALUES (:id, :project, 'client', 'register', :at, :at, 'done', '{}', 0, '', 0, '', 0, 0.0, 'client');

-- name: registration_attempt!
-- Its one attempt.
INSERT INTO attempts (id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log, wall_s, cpu_s, peak_bytes,
    energy_joules, energy_basis, cost_usd)
VALUES (:id, :id, '', '', 1, 0, :at, :at, 'done', '', '', '', 0.0, 0.0, 0, 0.0, 'unknown', 0.0);

-- name: withdraw_alias!
-- An alias is taken away: its last move counts no more.
INSERT INTO withdrawn (promotion, moved_by, at)
SELECT max(id), :moved_by, :at FROM promotions WHERE model = :model AND alias = :alias HAVING max(id) IS NOT NULL
ON CONFLICT (promotion) DO NOTHING;

-- name: rename_artifact!
-- A model gets a new name: first it stands under both.
INSERT INTO artifacts (name, kind, head, last) SELECT :new_name, kind, head, last FROM artifacts WHERE name = :name
ON CONFLICT (name) DO UPDATE SET head = excluded.head, last = excluded.last;

-- name: rename_versions!
-- Its versions stand under both names.
INSERT INTO versions (artifact, number, kind, digest, uri, table_version, schema, value, rows, size_bytes, meta, created_at, attempt,
    moved_head)
SELECT :new_name, number, kind, digest, uri, table_version, schema, value, rows, size_bytes, meta, created_at, attempt, moved_head
FROM versions WHERE artifact = :name;

-- name: rename_outputs!
-- What attempts made goes by the new name.
UPDATE outputs SET artifact = :new_name WHERE artifact = :name;

-- name: rename_inputs!
-- What attempts were handed goes by the new name.
UPDATE inputs SET artifact = :new_name WHERE artifact = :name;

-- name: rename_promotions!
-- Moves of aliases go by the new name.
UPDATE promotions SET model = :new_name WHERE model = :name;

-- name: rename_registered_versions!
-- What is registered goes by the new name.
UPDATE registered_versions SET name = :new_name WHERE name = :name;

-- name: rename_registered_tags!
-- Tags go by the new name.
UPDATE registered_tags SET name = :new_name WHERE name = :name;

-- name: rename_registered!
-- The model goes by the new name.
UPDATE registered_models SET name = :new_name, updated_ms = :at_ms WHERE name = :name;

-- name: rename_grants!
-- Grants on the model go by its new name.
UPDATE grants SET resource = :new_resource WHERE resource = :resource;

-- name: rename_drop_versions!
-- The old name's versions go.
DELETE FROM versions WHERE artifact = :name;

-- name: rename_drop_artifact!
-- The old name goes.
DELETE FROM artifacts WHERE name = :name;

-- name: registered_forget!
-- A deleted model's row, so that its name is free for another that is renamed.
DELETE FROM registered_models WHERE name = :name AND stage = 'deleted';

-- name: versions_there$
-- Whether an artifact has versions.
SELECT EXISTS (SELECT 1 FROM versions WHERE artifact = :name);
