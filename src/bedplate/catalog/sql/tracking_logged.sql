-- Logged models: what a client keeps of a model, apart from any run, before or without registering it.

-- name: logged_add!
-- A model begins to be logged.
INSERT INTO logged_models (id, experiment, name, model_type, run, status, message, created_ms, updated_ms, deleted_ms)
VALUES (:id, :experiment, :name, :model_type, :run, 'LOGGED_MODEL_PENDING', '', :at_ms, :at_ms, NULL);

-- name: logged_get^
-- One logged model, deleted or not.
SELECT id, experiment, name, model_type, run, status, message, created_ms, updated_ms, deleted_ms FROM logged_models WHERE id = :id;

-- name: logged_end!
-- A model is logged, or could not be.
UPDATE logged_models SET status = :status, updated_ms = :at_ms WHERE id = :id;

-- name: logged_touch!
-- A logged model has changed.
UPDATE logged_models SET updated_ms = :at_ms WHERE id = :id;

-- name: logged_delete!
-- A logged model is deleted: `gc` takes its files away.
UPDATE logged_models SET deleted_ms = :at_ms, updated_ms = :at_ms WHERE id = :id;

-- name: logged_params_of
-- What a model was made with.
SELECT name, value FROM logged_params WHERE model = :model ORDER BY name;

-- name: logged_param_add!
-- One thing that a model was made with; it is said once.
INSERT INTO logged_params (model, name, value) VALUES (:model, :name, :value) ON CONFLICT (model, name) DO NOTHING;

-- name: logged_tags_of
-- Tags of a logged model.
SELECT name, value FROM logged_tags WHERE model = :model ORDER BY name;

-- name: logged_tag_put!
-- A tag of a logged model.
INSERT INTO logged_tags (model, name, value) VALUES (:model, :name, :value)
ON CONFLICT (model, name) DO UPDATE SET value = excluded.value;

-- name: logged_tag_drop!
-- A tag is taken away.
DELETE FROM logged_tags WHERE model = :model AND name = :name;

-- name: logged_metrics_of
-- What was measured of a model, the latest of each metric, run and dataset last.
SELECT name, bits, at_step, at_ms, run, dataset, dataset_digest, number FROM logged_metrics WHERE model = :model
ORDER BY name, run, dataset, dataset_digest, at_step, at_ms, bits LIMIT :limit;
