-- What clients deleted, taken out of the record for good.

-- name: gone_runs
-- Runs of clients that were deleted before that time, and where they were.
SELECT id, experiment FROM tracked
WHERE origin = 'client' AND stage = 'deleted' AND deleted_ms < :before_ms ORDER BY id LIMIT :limit;

-- name: gone_runs_count$
-- How many those are.
SELECT count(*) FROM tracked WHERE origin = 'client' AND stage = 'deleted' AND deleted_ms < :before_ms;

-- name: gone_experiments
-- Experiments that were deleted before that time and have no run any more. The newest stays until there is a newer one: an id that
-- was given once, and may stand in a grant or an address, is not given again.
SELECT id FROM experiments AS e
WHERE stage = 'deleted' AND updated_ms < :before_ms AND id <> 0 AND id < (SELECT max(id) FROM experiments)
AND NOT EXISTS (SELECT 1 FROM tracked WHERE experiment = e.id) ORDER BY id;

-- name: gone_experiments_count$
-- How many experiments will be, once their runs are gone.
SELECT count(*) FROM experiments AS e
WHERE stage = 'deleted' AND updated_ms < :before_ms AND id <> 0 AND id < (SELECT max(id) FROM experiments)
AND NOT EXISTS (
    SELECT 1 FROM tracked
    WHERE experiment = e.id AND (origin <> 'client' OR stage <> 'deleted' OR deleted_ms >= :before_ms)
);

-- name: gone_models
-- Logged models that were deleted before that time.
SELECT id FROM logged_models WHERE deleted_ms < :before_ms ORDER BY id LIMIT :limit;

-- name: gone_models_count$
-- How many those are.
SELECT count(*) FROM logged_models WHERE deleted_ms < :before_ms;

-- name: gone_models_of
-- Logged models of an experiment.
SELECT id FROM logged_models WHERE experiment = :id ORDER BY id;

-- name: gone_traces_of_run
-- Traces of a run, and where they are.
SELECT id, experiment FROM traces WHERE run = :id ORDER BY id;

-- name: gone_traces_of
-- Traces of an experiment.
SELECT id, experiment FROM traces WHERE experiment = :id ORDER BY id;

-- name: gone_points*!
-- The points of a run.
DELETE FROM points WHERE curve IN (SELECT id FROM curves WHERE run = :id);

-- name: gone_curves*!
-- Its curves.
DELETE FROM curves WHERE run = :id;

-- name: gone_params*!
-- Its params.
DELETE FROM run_params WHERE run = :id;

-- name: gone_tags*!
-- Its tags.
DELETE FROM run_tags WHERE run = :id;

-- name: gone_run_datasets*!
-- What it was trained on, as it said.
DELETE FROM run_datasets WHERE run = :id;

-- name: gone_run_models*!
-- The models that it took or gave.
DELETE FROM run_models WHERE run = :id;

-- name: gone_run_brought*!
-- That it was brought from another tracker: another import may bring it again.
DELETE FROM brought WHERE what = 'run' AND here = :id;

-- name: gone_tracked*!
-- The run, as trackers see it.
DELETE FROM tracked WHERE id = :id;

-- name: gone_attempt*!
-- The run as an attempt, unless a version rests on it.
DELETE FROM attempts WHERE id = :id AND NOT EXISTS (SELECT 1 FROM versions WHERE attempt = :id)
AND NOT EXISTS (SELECT 1 FROM outputs WHERE attempt = :id) AND NOT EXISTS (SELECT 1 FROM inputs WHERE attempt = :id)
AND NOT EXISTS (SELECT 1 FROM noted WHERE attempt = :id);

-- name: gone_run*!
-- The run itself, where its attempt is gone.
DELETE FROM runs WHERE id = :id AND NOT EXISTS (SELECT 1 FROM attempts WHERE run = :id);

-- name: gone_logged_params*!
-- The params of a logged model.
DELETE FROM logged_params WHERE model = :id;

-- name: gone_logged_tags*!
-- Its tags.
DELETE FROM logged_tags WHERE model = :id;

-- name: gone_logged_metrics*!
-- Its metrics.
DELETE FROM logged_metrics WHERE model = :id;

-- name: gone_logged_runs*!
-- The runs that took or gave it.
DELETE FROM run_models WHERE model = :id;

-- name: gone_logged_brought*!
-- That it was brought from another tracker.
DELETE FROM brought WHERE what = 'logged' AND here = :id;

-- name: gone_logged*!
-- The model.
DELETE FROM logged_models WHERE id = :id;

-- name: gone_datasets!
-- The datasets of an experiment.
DELETE FROM datasets WHERE experiment = :id;

-- name: gone_evaluations!
-- That datasets for evaluation were its.
DELETE FROM evaluation_experiments WHERE experiment = :id;

-- name: gone_experiment_tags!
-- Its tags.
DELETE FROM experiment_tags WHERE experiment = :id;

-- name: gone_grants!
-- Who may do what in it (`experiment:ID`).
DELETE FROM grants WHERE resource = :resource;

-- name: gone_experiment_brought!
-- That it was brought from another tracker.
DELETE FROM brought WHERE what = 'experiment' AND here = :here;

-- name: gone_experiment!
-- The experiment.
DELETE FROM experiments WHERE id = :id;
