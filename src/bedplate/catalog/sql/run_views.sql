-- One run or attempt with what stands around it, for whoever looks at it.

-- name: view_steps
-- The steps of a run in the order in which they were planned, with what the attempt that each stands for took.
SELECT s.name, s.part, s.stage, s.status, s.why, s.result, s.started_at, s.ended_at,
       a.run, a.wall_s, a.cpu_s, a.peak_bytes, a.energy_joules, a.energy_basis, a.cost_usd
FROM steps AS s LEFT JOIN attempts AS a ON a.id = s.result WHERE s.run = :run ORDER BY s.id LIMIT :limit;

-- name: view_step^
-- One step (or part) of a run, with what its key was made of.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, k.parts, s.result, s.started_at, s.ended_at
FROM steps AS s LEFT JOIN key_parts AS k ON k.digest = s.key_parts WHERE s.run = :run AND s.name = :name AND s.part = :part;

-- name: view_attempts
-- The attempts of a run, those that failed first, then the newest.
SELECT id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
       wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE run = :run ORDER BY CASE status WHEN 'failed' THEN 0 WHEN 'running' THEN 1 ELSE 2 END, started_at DESC, id LIMIT :limit;

-- name: view_outputs
-- What a run made (or one attempt of it): versions, each once; of more than are asked for, some.
SELECT artifact, number, kind, rows, size_bytes FROM (
    SELECT DISTINCT o.artifact, o.number, v.kind, v.rows, v.size_bytes
    FROM attempts AS a JOIN outputs AS o ON o.attempt = a.id JOIN versions AS v ON v.artifact = o.artifact AND v.number = o.number
    WHERE a.run = :run AND (:attempt = '' OR a.id = :attempt) LIMIT :limit
) AS made ORDER BY artifact, number;

-- name: view_inputs
-- What a run was handed (or one attempt of it), and did not make itself: versions, each once; of more than are asked for, some.
SELECT artifact, number, kind, rows, size_bytes FROM (
    SELECT DISTINCT i.artifact, i.number, v.kind, v.rows, v.size_bytes
    FROM attempts AS a JOIN inputs AS i ON i.attempt = a.id JOIN versions AS v ON v.artifact = i.artifact AND v.number = i.number
    JOIN attempts AS m ON m.id = v.attempt
    WHERE a.run = :run AND (:attempt = '' OR a.id = :attempt) AND (:attempt <> '' OR m.run <> :run) LIMIT :limit
) AS handed ORDER BY artifact, number;

-- name: view_forecasts
-- What was predicted of a run's steps (or of one), beside what the done attempt took.
SELECT f.step, f.part, f.quantity, f.middle, f.low, f.high, f.basis, f.samples,
       a.wall_s, a.cpu_s, a.peak_bytes, a.energy_joules, a.energy_basis, a.cost_usd
FROM forecasts AS f JOIN attempts AS a ON a.run = f.run AND a.step = f.step AND a.part = f.part AND a.status = 'done'
WHERE f.run = :run AND (:step = '' OR (f.step = :step AND f.part = :part)) AND f.basis <> 'unknown'
ORDER BY f.step, f.part, f.quantity LIMIT :limit;

-- name: view_spent
-- What a run's attempts took together, by the basis of their energy.
SELECT energy_basis, count(*), sum(wall_s), sum(cpu_s), max(peak_bytes), sum(energy_joules), sum(cost_usd)
FROM attempts WHERE run = :run GROUP BY energy_basis ORDER BY energy_basis;

-- name: view_attempt_before$
-- The done attempt at a step before a time.
SELECT id FROM attempts WHERE step = :step AND part = :part AND status = 'done' AND started_at < :at ORDER BY started_at DESC LIMIT 1;

-- name: view_attempt_after$
-- The done attempt at a step after a time.
SELECT id FROM attempts WHERE step = :step AND part = :part AND status = 'done' AND started_at > :at ORDER BY started_at LIMIT 1;

-- name: view_run_before$
-- The run of an experiment and a parent that began before one.
SELECT id FROM tracked WHERE experiment = :experiment AND stage = 'active' AND parent = :parent AND origin = :origin
    AND started_ms <= :at_ms AND (started_ms < :at_ms OR id > :id) ORDER BY started_ms DESC, id LIMIT 1;

-- name: view_run_after$
-- The run of an experiment and a parent that began after one.
SELECT id FROM tracked WHERE experiment = :experiment AND stage = 'active' AND parent = :parent AND origin = :origin
    AND started_ms >= :at_ms AND (started_ms > :at_ms OR id < :id) ORDER BY started_ms, id DESC LIMIT 1;
