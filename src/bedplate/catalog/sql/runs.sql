-- Runs, steps, attempts, the cache, what steps said, and forecasts.

-- name: run_put!
-- Begin a run.
INSERT INTO runs (id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started, origin)
VALUES (:id, :project, :target, :command, :started_at, :ended_at, :status, :settings, :moves_heads, :git_commit, :git_dirty, :host, :pid, :process_started, :origin);

-- name: run_end!
-- End a run.
UPDATE runs SET status = :status, ended_at = :ended_at WHERE id = :id;

-- name: run_get^
-- One run.
SELECT id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started, origin
FROM runs WHERE id = :id;

-- name: runs_last
-- The newest runs, of clients too, newest first.
SELECT id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started, origin
FROM runs ORDER BY started_at DESC, id DESC LIMIT :limit;

-- name: runs_last_of_project
-- The newest runs of the project, newest first.
SELECT id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started, origin
FROM runs WHERE origin = 'project' ORDER BY started_at DESC, id DESC LIMIT :limit;

-- name: runs_running
-- Runs of the project that have not ended (or whose process died).
SELECT id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host, pid, process_started, origin
FROM runs WHERE status = 'running' AND origin = 'project' ORDER BY started_at, id;

-- name: run_ids
-- Ids, to name near ones when one is not found.
SELECT id FROM runs ORDER BY started_at DESC LIMIT 200;

-- name: key_parts_put*!
-- What a cache key was made of.
INSERT INTO key_parts (digest, parts) VALUES (:digest, :parts) ON CONFLICT (digest) DO NOTHING;

-- name: step_put*!
-- A step as it stands now.
INSERT INTO steps (run, name, part, stage, status, why, cache_key, key_parts, result, started_at, ended_at)
VALUES (:run, :name, :part, :stage, :status, :why, :cache_key, :key_parts, :result, :started_at, :ended_at)
ON CONFLICT (run, name, part) DO UPDATE SET stage = excluded.stage, status = excluded.status, why = excluded.why,
    cache_key = excluded.cache_key, key_parts = excluded.key_parts, result = excluded.result,
    started_at = excluded.started_at, ended_at = excluded.ended_at;

-- name: step_end!
-- A step that began under this key has ended; changes nothing where there is none.
UPDATE steps SET status = :status, why = :why, result = :result, ended_at = :ended_at
WHERE run = :run AND name = :name AND part = :part AND cache_key = :cache_key;

-- name: steps_of_run
-- The steps of a run, in the order in which they were planned.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, k.parts, s.result, s.started_at, s.ended_at
FROM steps AS s LEFT JOIN key_parts AS k ON k.digest = s.key_parts
WHERE s.run = :run ORDER BY s.id;

-- name: step_of_attempt^
-- The step that an attempt was a try at.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, k.parts, s.result, s.started_at, s.ended_at
FROM attempts AS a JOIN steps AS s ON s.run = a.run AND s.name = a.step AND s.part = a.part
LEFT JOIN key_parts AS k ON k.digest = s.key_parts
WHERE a.id = :attempt;

-- name: step_last^
-- The last step of that name (and part) that ended well and knows what its key was made of; one of a run that moves heads, if any is.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, k.parts, s.result, s.started_at, s.ended_at
FROM steps AS s JOIN key_parts AS k ON k.digest = s.key_parts
WHERE s.id = coalesce(
    (SELECT m.id FROM steps AS m JOIN runs AS r ON r.id = m.run WHERE m.name = :name AND m.part = :part AND m.key_parts IS NOT NULL
        AND m.status IN ('done', 'skipped') AND r.moves_heads = 1 ORDER BY m.id DESC LIMIT 1),
    (SELECT a.id FROM steps AS a WHERE a.name = :name AND a.part = :part AND a.key_parts IS NOT NULL
        AND a.status IN ('done', 'skipped') ORDER BY a.id DESC LIMIT 1)
);

-- name: step_failed^
-- The last step of that name (and part, where one is given) that failed.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, NULL, s.result, s.started_at, s.ended_at
FROM steps AS s WHERE s.name = :name AND (:part = '' OR s.part = :part) AND s.status = 'failed' ORDER BY s.id DESC LIMIT 1;

-- name: steps_last
-- The same for every name and part at once.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, k.parts, s.result, s.started_at, s.ended_at
FROM (
    SELECT coalesce(max(CASE WHEN r.moves_heads = 1 THEN m.id END), max(m.id)) AS id FROM steps AS m JOIN runs AS r ON r.id = m.run
    WHERE m.key_parts IS NOT NULL AND m.status IN ('done', 'skipped') GROUP BY m.name, m.part
) AS l JOIN steps AS s ON s.id = l.id JOIN key_parts AS k ON k.digest = s.key_parts
ORDER BY s.id;

-- name: steps_failed
-- The names whose last run, of the newest, failed them (or a part of them).
SELECT DISTINCT s.name FROM (
    SELECT name, max(id) AS id FROM steps
    WHERE run IN (SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT 50) AND status IN ('done', 'skipped', 'failed') GROUP BY name
) AS l JOIN steps AS last ON last.id = l.id JOIN steps AS s ON s.run = last.run AND s.name = last.name
WHERE s.status = 'failed';

-- name: attempt_put*!
-- An attempt as it stands now.
INSERT INTO attempts (id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
    wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd)
VALUES (:id, :run, :step, :part, :number, :fence, :started_at, :ended_at, :status, :cause, :message, :log,
    :wall_s, :cpu_s, :peak_bytes, :energy_joules, :energy_basis, :cost_usd)
ON CONFLICT (id) DO UPDATE SET fence = excluded.fence, ended_at = excluded.ended_at, status = excluded.status, cause = excluded.cause,
    message = excluded.message, log = excluded.log, wall_s = excluded.wall_s, cpu_s = excluded.cpu_s,
    peak_bytes = excluded.peak_bytes, energy_joules = excluded.energy_joules, energy_basis = excluded.energy_basis,
    cost_usd = excluded.cost_usd;

-- name: attempt_status$
-- How an attempt stands.
SELECT status FROM attempts WHERE id = :id;

-- name: attempt_get^
-- One attempt.
SELECT id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
       wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE id = :id;

-- name: attempts_open
-- Attempts that have not ended, of any run of the project: what recovery looks at.
SELECT a.id, a.run, a.step, a.part, a.number, a.fence, a.started_at, a.ended_at, a.status, a.cause, a.message, a.log,
       a.wall_s, a.cpu_s, a.peak_bytes, a.energy_joules, a.energy_basis, a.cost_usd
FROM attempts AS a JOIN runs AS r ON r.id = a.run WHERE a.status = 'running' AND r.origin = 'project' ORDER BY a.started_at, a.id;

-- name: attempts_of_run
-- The attempts of a run, or of one of its steps.
SELECT id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
       wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE run = :run AND (:step = '' OR step = :step) ORDER BY started_at, id;

-- name: usages_of_step
-- What the newest done attempts of a step took.
SELECT wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE step = :step AND status = 'done' ORDER BY started_at DESC LIMIT :limit;

-- name: cost_since$
-- What all attempts since a time cost, in US dollars.
SELECT coalesce(sum(cost_usd), 0.0) FROM attempts WHERE started_at >= :since;

-- name: cache_put!
-- This attempt answers this key now.
INSERT INTO cache (cache_key, attempt) VALUES (:cache_key, :attempt)
ON CONFLICT (cache_key) DO UPDATE SET attempt = excluded.attempt;

-- name: cache_get$
-- The attempt that answers a key.
SELECT attempt FROM cache WHERE cache_key = :cache_key;

-- name: noted_put*!
-- One thing that a step said.
INSERT INTO noted (attempt, position, what, name, at_step, number, value)
VALUES (:attempt, :position, :what, :name, :at_step, :number, :value)
ON CONFLICT (attempt, position) DO NOTHING;

-- name: noted_of
-- What an attempt said, in order.
SELECT what, name, at_step, number, value FROM noted WHERE attempt = :attempt ORDER BY position;

-- name: files_kept
-- The digest of every file that a step kept.
SELECT DISTINCT value FROM noted WHERE what = 'file';

-- name: forecast_put*!
-- What was predicted of a step of a run.
INSERT INTO forecasts (run, step, part, quantity, middle, low, high, basis, samples)
VALUES (:run, :step, :part, :quantity, :middle, :low, :high, :basis, :samples)
ON CONFLICT (run, step, part, quantity) DO UPDATE SET middle = excluded.middle, low = excluded.low, high = excluded.high,
    basis = excluded.basis, samples = excluded.samples;

-- name: forecasts_of_step
-- Predictions of a step beside what its done attempt then took, newest first.
SELECT f.quantity, f.middle, f.low, f.high, f.basis, f.samples,
       a.wall_s, a.cpu_s, a.peak_bytes, a.energy_joules, a.energy_basis, a.cost_usd
FROM forecasts AS f JOIN attempts AS a ON a.run = f.run AND a.step = f.step AND a.part = f.part AND a.status = 'done'
WHERE f.step = :step ORDER BY a.started_at DESC, f.quantity LIMIT :limit;

-- name: answered_by_head$
-- Whether an attempt has answered a step of a run that moves heads.
SELECT EXISTS (SELECT 1 FROM steps AS s JOIN runs AS r ON r.id = s.run WHERE s.name = :step AND s.result = :attempt AND r.moves_heads = 1);
