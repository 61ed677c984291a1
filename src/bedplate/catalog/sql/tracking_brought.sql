-- What is brought over from another tracker. Everything is put where nothing stands: what is here already stays as it is.

-- name: brought_all
-- What was brought from a source, of one kind.
SELECT id, here, digest FROM brought WHERE source = :source AND what = :what;

-- name: brought_put!
-- This was brought, as it was then.
INSERT INTO brought (source, what, id, here, digest) VALUES (:source, :what, :id, :here, :digest)
ON CONFLICT (source, what, id) DO UPDATE SET here = excluded.here, digest = excluded.digest;

-- name: brought_from_any$
-- Whether something here was brought, from whichever source.
SELECT EXISTS (SELECT 1 FROM brought WHERE what = :what AND here = :here);

-- name: brought_experiment_named$
-- The experiment of a name.
SELECT id FROM experiments WHERE name = :name;

-- name: brought_experiment_name$
-- The name of an experiment.
SELECT name FROM experiments WHERE id = :id;

-- name: brought_experiment_free$
-- Whether no experiment has this id.
SELECT NOT EXISTS (SELECT 1 FROM experiments WHERE id = :id);

-- name: brought_experiment_next$
-- An id above all others.
SELECT max(id) + 1 FROM experiments;

-- name: brought_experiment!
-- An experiment.
INSERT INTO experiments (id, name, stage, created_ms, updated_ms) VALUES (:id, :name, :stage, :created_ms, :updated_ms);

-- name: brought_experiment_tag*!
-- A tag of an experiment.
INSERT INTO experiment_tags (experiment, name, value) VALUES (:id, :name, :value) ON CONFLICT (experiment, name) DO NOTHING;

-- name: brought_run!
-- A run as one of the record's.
INSERT INTO runs (id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid,
    process_started, origin)
VALUES (:id, :project, 'client', 'bedplate import mlflow', :started_at, :ended_at, :status, '{}', 0, '', 0, '', 0, 0.0, 'client')
ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, status = excluded.status;

-- name: brought_attempt!
-- Its one attempt.
INSERT INTO attempts (id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log, wall_s, cpu_s, peak_bytes,
    energy_joules, energy_basis, cost_usd)
VALUES (:id, :id, '', '', 1, 0, :started_at, :ended_at, :status, '', '', '', :wall_s, 0.0, 0, 0.0, 'unknown', 0.0)
ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, status = excluded.status, wall_s = excluded.wall_s;

-- name: brought_tracked!
-- What trackers see of it.
INSERT INTO tracked (id, experiment, origin, parent, name, made_by, status, started_ms, ended_ms, stage, deleted_ms)
VALUES (:id, :experiment, 'client', :parent, :name, :made_by, :status, :started_ms, :ended_ms, :stage, :deleted_ms)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, ended_ms = excluded.ended_ms;

-- name: brought_tracked_there$
-- Whether there is a run of this id.
SELECT EXISTS (SELECT 1 FROM tracked WHERE id = :id);

-- name: brought_param*!
-- A param of a run.
INSERT INTO run_params (run, name, value) VALUES (:id, :name, :value) ON CONFLICT (run, name) DO NOTHING;

-- name: brought_tag*!
-- A tag of a run.
INSERT INTO run_tags (run, name, value) VALUES (:id, :name, :value) ON CONFLICT (run, name) DO NOTHING;

-- name: brought_curve*!
-- A metric with its latest point.
INSERT INTO curves (run, experiment, name, number, bits, at_step, at_ms)
VALUES (:id, :experiment, :name, :number, :bits, :at_step, :at_ms)
ON CONFLICT (run, name) DO UPDATE SET number = excluded.number, bits = excluded.bits, at_step = excluded.at_step, at_ms = excluded.at_ms;

-- name: brought_point*!
-- A point of a metric.
INSERT INTO points (curve, at_step, at_ms, bits)
SELECT id, :at_step, :at_ms, :bits FROM curves WHERE run = :id AND name = :name
ON CONFLICT (curve, at_step, at_ms, bits) DO NOTHING;

-- name: brought_dataset!
-- A dataset.
INSERT INTO datasets (experiment, name, digest, source_type, source, schema, profile)
VALUES (:experiment, :name, :digest, :source_type, :source, :schema, :profile) ON CONFLICT (experiment, name, digest) DO NOTHING;

-- name: brought_run_dataset!
-- A run used a dataset.
INSERT INTO run_datasets (run, dataset, tags)
SELECT :id, d.id, :tags FROM datasets AS d WHERE d.experiment = :experiment AND d.name = :name AND d.digest = :digest
ON CONFLICT (run, dataset) DO NOTHING;

-- name: brought_file*!
-- A file of a run or logged model.
INSERT INTO client_files (owner, path, sha256, size_bytes, changed_ms) VALUES (:id, :path, :sha256, :size_bytes, :changed_ms)
ON CONFLICT (owner, path) DO NOTHING;

-- name: brought_logged!
-- A logged model.
INSERT INTO logged_models (id, experiment, name, model_type, run, status, message, created_ms, updated_ms, deleted_ms)
VALUES (:id, :experiment, :name, :model_type, :run, :status, :message, :created_ms, :updated_ms, :deleted_ms)
ON CONFLICT (id) DO UPDATE SET status = excluded.status, message = excluded.message, updated_ms = excluded.updated_ms;

-- name: brought_logged_there$
-- Whether there is a logged model of this id.
SELECT EXISTS (SELECT 1 FROM logged_models WHERE id = :id);

-- name: brought_logged_param*!
-- A param of a logged model.
INSERT INTO logged_params (model, name, value) VALUES (:id, :name, :value) ON CONFLICT (model, name) DO NOTHING;

-- name: brought_logged_tag*!
-- A tag of a logged model.
INSERT INTO logged_tags (model, name, value) VALUES (:id, :name, :value) ON CONFLICT (model, name) DO NOTHING;

-- name: brought_logged_metric*!
-- A metric of a logged model.
INSERT INTO logged_metrics (model, run, name, number, bits, at_step, at_ms, dataset, dataset_digest)
VALUES (:id, :run, :name, :number, :bits, :at_step, :at_ms, :dataset, :dataset_digest)
ON CONFLICT (model, name, run, at_step, at_ms, bits, dataset, dataset_digest) DO NOTHING;

-- name: brought_run_model*!
-- A run took or gave a logged model.
INSERT INTO run_models (run, model, way, at_step)
SELECT :id, m.id, :way, :at_step FROM logged_models AS m WHERE m.id = :model
ON CONFLICT (run, model, way) DO NOTHING;

-- name: brought_params_of
-- The params of a run.
SELECT name, value FROM run_params WHERE run = :id;

-- name: brought_tags_of
-- The tags of a run.
SELECT name, value FROM run_tags WHERE run = :id;

-- name: brought_points_of
-- Every point of a run.
SELECT c.name, p.at_step, p.at_ms, p.bits FROM points AS p JOIN curves AS c ON c.id = p.curve WHERE c.run = :id;

-- name: brought_files_of
-- The files of a run or logged model.
SELECT path, sha256, size_bytes FROM client_files WHERE owner = :id;

-- name: brought_number!
-- The next version of a model has this number, where the newest is not beyond.
UPDATE artifacts SET last = :number - 1 WHERE name = :name AND last < :number - 1;
