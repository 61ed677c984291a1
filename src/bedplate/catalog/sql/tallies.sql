-- How the project stands, counted: steps of runs by how they are, what moved last, who waited for whom.

-- name: tally_of_run
-- Each step of a run: how many of its parts (or itself) stand how, the first start and the last end.
SELECT name, stage, status, count(*), min(started_at), max(ended_at), max(why) FROM steps WHERE run = :run GROUP BY name, stage, status
ORDER BY min(id);

-- name: tally_newest_steps
-- The newest row of every step that the newest runs got to.
SELECT s.run, s.name, s.part, s.stage, s.status, s.why, s.cache_key, NULL, s.result, s.started_at, s.ended_at
FROM (
    SELECT max(id) AS id FROM steps WHERE run IN (SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT :runs) GROUP BY name
) AS l JOIN steps AS s ON s.id = l.id ORDER BY s.id LIMIT :limit;

-- name: tally_arrows
-- Of those steps, which was handed what another had made: (maker, user).
SELECT DISTINCT m.step, l.name FROM (
    SELECT name, max(result) AS result FROM steps
    WHERE run IN (SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT :runs) AND result <> '' GROUP BY name
) AS l JOIN inputs AS i ON i.attempt = l.result
JOIN versions AS v ON v.artifact = i.artifact AND v.number = i.number JOIN attempts AS m ON m.id = v.attempt
WHERE m.step <> l.name ORDER BY m.step, l.name;

-- name: tally_step^
-- The newest row of a step, of one status where that is asked for.
SELECT run, name, part, stage, status, why, cache_key, NULL, result, started_at, ended_at FROM steps
WHERE name = :name AND run IN (SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT :runs)
    AND (:status = '' OR status = :status)
ORDER BY id DESC LIMIT 1;

-- name: tally_attempt^
-- The newest attempt at a step (and part) in a run.
SELECT id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
       wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE run = :run AND step = :step AND part = :part ORDER BY number DESC LIMIT 1;

-- name: tally_parts
-- The parts of a step in a run, from one part on.
SELECT run, name, part, stage, status, why, cache_key, NULL, result, started_at, ended_at FROM steps
WHERE run = :run AND name = :name AND part > :after AND (:status = '' OR status = :status) ORDER BY part LIMIT :limit;

-- name: tally_part_statuses
-- How each part of a step stands in a run.
SELECT part, status FROM steps WHERE run = :run AND name = :name;

-- name: tally_moved^
-- What moves when a plan may be another one: steps, promotions, due work.
SELECT (SELECT coalesce(max(id), 0) FROM steps), (SELECT coalesce(max(id), 0) FROM promotions),
       (SELECT coalesce(max(decided_at), '') FROM occurrences);

-- name: tally_forecast_steps
-- The steps that something was predicted of.
SELECT DISTINCT step FROM forecasts ORDER BY step LIMIT :limit;

-- name: tally_occurrences
-- Decisions about due work, newest first, of one status where that is asked for.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
WHERE (:status = '' OR status = :status) AND (:until = '' OR decided_at <= :until)
ORDER BY decided_at DESC, due_at DESC, step LIMIT :limit OFFSET :skipped;

-- name: tally_decided
-- Decisions about due work since a time, counted by how they ended.
SELECT status, count(*) FROM occurrences WHERE decided_at >= :since GROUP BY status;
