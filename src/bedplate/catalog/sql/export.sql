-- The record as tables for a warehouse; the columns and their order are those of `export.TABLES`.

-- name: export_artifacts
-- Every artifact.
SELECT name, kind, head, last FROM artifacts ORDER BY name;

-- name: export_versions
-- Every version, with the run that made it and whether it is the head now.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.rows, v.size_bytes, v.created_at, v.attempt, t.run,
       CASE WHEN a.head = v.number THEN 1 ELSE 0 END
FROM versions AS v JOIN artifacts AS a ON a.name = v.artifact JOIN attempts AS t ON t.id = v.attempt
ORDER BY v.artifact, v.number;

-- name: export_runs
-- Every run.
SELECT id, project, target, command, started_at, ended_at, status, settings, moves_heads, git_commit, git_dirty, host
FROM runs ORDER BY started_at, id;

-- name: export_steps
-- Every step of every run.
SELECT run, name, part, stage, status, why, cache_key, result, started_at, ended_at FROM steps ORDER BY id;

-- name: export_attempts
-- Every attempt.
SELECT id, run, step, part, number, started_at, ended_at, status, cause, message, log FROM attempts ORDER BY started_at, id;

-- name: export_metrics
-- Every metric: of a step with every point of its curve, of a client's run the newest.
SELECT a.run, a.step, a.part, n.attempt, n.name, n.at_step, n.number
FROM noted AS n JOIN attempts AS a ON a.id = n.attempt WHERE n.what = 'metric'
UNION ALL
SELECT a.run, a.step, a.part, a.id, c.name, c.at_step, c.number
FROM curves AS c JOIN tracked AS t ON t.id = c.run JOIN attempts AS a ON a.id = c.run WHERE t.origin = 'client'
ORDER BY 4, 5, 6;

-- name: export_params
-- Every param: of a step as JSON text, of a client's run as it was sent.
SELECT a.run, a.step, a.part, n.attempt, n.name, n.value
FROM noted AS n JOIN attempts AS a ON a.id = n.attempt WHERE n.what = 'param'
UNION ALL
SELECT a.run, a.step, a.part, a.id, c.name, c.value
FROM run_params AS c JOIN tracked AS t ON t.id = c.run JOIN attempts AS a ON a.id = c.run WHERE t.origin = 'client'
ORDER BY 4, 5;

-- name: export_tags
-- Every tag: of a step as JSON text, of a client's run as it was sent.
SELECT a.run, a.step, a.part, n.attempt, n.name, n.value
FROM noted AS n JOIN attempts AS a ON a.id = n.attempt WHERE n.what = 'tag'
UNION ALL
SELECT a.run, a.step, a.part, a.id, c.name, c.value
FROM run_tags AS c JOIN tracked AS t ON t.id = c.run JOIN attempts AS a ON a.id = c.run WHERE t.origin = 'client'
ORDER BY 4, 5;

-- name: export_inputs
-- What every attempt was handed.
SELECT attempt, parameter, artifact, number, view FROM inputs ORDER BY attempt, parameter;

-- name: export_outputs
-- What every attempt made or made again.
SELECT attempt, artifact, number FROM outputs ORDER BY attempt, position;

-- name: export_verdicts
-- Every verdict.
SELECT check_name, check_version, model, model_version, passed, promotes, at, attempt FROM verdicts ORDER BY id;

-- name: export_promotions
-- Every move of an alias.
SELECT model, alias, version, before, moved_by, reason, at, check_name, check_version, actor FROM promotions ORDER BY id;

-- name: export_services
-- Every service that is registered now.
SELECT name, url, pid, host, models, started_at, heartbeat FROM services ORDER BY name, url;

-- name: export_costs
-- What every ended attempt took.
SELECT run, step, part, id, started_at, wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE status <> 'running' ORDER BY started_at, id;

-- name: export_forecasts
-- Every prediction beside what took place: null until the step is done, where nothing was recorded, and for energy that was predicted with
-- accelerators, which no meter here reads.
SELECT f.run, f.step, f.part, f.quantity, f.middle, f.low, f.high, f.basis, f.samples,
       CASE f.quantity WHEN 'wall_s' THEN a.wall_s WHEN 'cpu_s' THEN a.cpu_s WHEN 'peak_bytes' THEN a.peak_bytes
            WHEN 'energy_joules' THEN CASE f.basis WHEN 'planner' THEN NULL ELSE a.energy_joules END
            WHEN 'cost_usd' THEN NULLIF(a.cost_usd, 0) END
FROM forecasts AS f LEFT JOIN attempts AS a ON a.run = f.run AND a.step = f.step AND a.part = f.part AND a.status = 'done'
ORDER BY f.run, f.step, f.part, f.quantity;

-- name: export_events
-- Every event.
SELECT id, kind, subject, at, data FROM events ORDER BY id;

-- name: export_occurrences
-- Every decision of due work.
SELECT step, kind, mark, due_at, status, reason, run, tries, decided_at, ended_at FROM occurrences ORDER BY decided_at, due_at, step;

-- name: export_spending
-- What runs are spending now, and services spend, hour by hour.
SELECT spender, kind, hour, usd, held_usd, up_s, busy_s, energy_joules, energy_basis FROM spending ORDER BY hour, spender;

-- name: export_deliveries
-- What webhooks were told, and how it went; an answer is what they said of it.
SELECT d.id, w.name, d.event, d.status, d.tries, d.next_ms, d.answer
FROM deliveries AS d LEFT JOIN webhooks AS w ON w.id = d.webhook ORDER BY d.id;
