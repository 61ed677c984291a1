-- Curves: the latest point of each metric of a run, and every point.

-- name: curve_of^
-- One curve: its number and its latest point.
SELECT id, at_step, at_ms, bits FROM curves WHERE run = :run AND name = :name;

-- name: curve_add*!
-- A curve with its first point.
INSERT INTO curves (run, experiment, name, number, bits, at_step, at_ms) VALUES (:run, :experiment, :name, :number, :bits, :at_step, :at_ms)
ON CONFLICT (run, name) DO NOTHING;

-- name: curve_move*!
-- Its latest point is another.
UPDATE curves SET number = :number, bits = :bits, at_step = :at_step, at_ms = :at_ms WHERE id = :id;

-- name: point_add*!
-- A point, once.
INSERT INTO points (curve, at_step, at_ms, bits) VALUES (:curve, :at_step, :at_ms, :bits) ON CONFLICT (curve, at_step, at_ms, bits) DO NOTHING;

-- name: points_after
-- The points after one.
SELECT at_step, at_ms, bits FROM points WHERE curve = :curve AND (at_step, at_ms, bits) > (:at_step, :at_ms, :bits)
ORDER BY at_step, at_ms, bits LIMIT :limit;

-- name: points_between
-- The first points of a curve within two steps.
SELECT at_step, at_ms, bits FROM points WHERE curve = :curve AND at_step BETWEEN :first AND :last ORDER BY at_step, at_ms, bits LIMIT :limit;

-- name: points_ends^
-- The first and the last step of a curve within two steps, each by the index.
SELECT (SELECT min(at_step) FROM points WHERE curve = :curve AND at_step BETWEEN :first AND :last),
       (SELECT max(at_step) FROM points WHERE curve = :curve AND at_step BETWEEN :first AND :last);

-- name: points_count$
-- How many points a curve has within two steps.
SELECT count(*) FROM points WHERE curve = :curve AND at_step BETWEEN :first AND :last;

-- name: points_every
-- Every so many-th point of a curve within two steps.
SELECT at_step, at_ms, bits FROM (
    SELECT at_step, at_ms, bits, row_number() OVER (ORDER BY at_step, at_ms, bits) - 1 AS place
    FROM points WHERE curve = :curve AND at_step BETWEEN :first AND :last
) AS p WHERE place % :every = 0 OR place = :final ORDER BY at_step, at_ms, bits;

-- name: model_points_put*!
-- A point measured of a logged model.
INSERT INTO logged_metrics (model, run, name, number, bits, at_step, at_ms, dataset, dataset_digest)
VALUES (:model, :run, :name, :number, :bits, :at_step, :at_ms, :dataset, :dataset_digest)
ON CONFLICT (model, name, run, at_step, at_ms, bits, dataset, dataset_digest) DO NOTHING;

-- name: model_is_logged$
-- Whether there is such a logged model.
SELECT 1 FROM logged_models WHERE id = :id;
