-- What runs were trained or tested on.

-- name: dataset_add!
-- A dataset of an experiment, once.
INSERT INTO datasets (experiment, name, digest, source_type, source, schema, profile)
VALUES (:experiment, :name, :digest, :source_type, :source, :schema, :profile) ON CONFLICT (experiment, name, digest) DO NOTHING;

-- name: dataset_used!
-- A run used a dataset; how, is as it was said first.
INSERT INTO run_datasets (run, dataset, context, tags)
SELECT :run, d.id, :context, :tags FROM datasets AS d WHERE d.experiment = :experiment AND d.name = :name AND d.digest = :digest
ON CONFLICT (run, dataset) DO NOTHING;

-- name: run_model_put*!
-- A run took or gave a logged model.
INSERT INTO run_models (run, model, way, at_step) VALUES (:run, :model, :way, :at_step) ON CONFLICT (run, model, way) DO NOTHING;
