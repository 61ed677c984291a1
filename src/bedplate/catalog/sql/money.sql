-- What work took and cost, added up by the engine: for pages about money and energy. A period is from one day (UTC) until another.

-- name: money_attempts
-- What the attempts begun in a period took, by day, step and what the energy rests on; what a running one has cost is not among it.
-- max() of what is grouped by: so SQLite reads the index alone.
SELECT g.day, g.step, coalesce((SELECT s.stage FROM steps AS s WHERE s.run = g.run AND s.name = g.step LIMIT 1), '') AS stage,
    g.energy_basis, g.attempts, g.failed, g.wall_s, g.cpu_s, g.idle_s, g.energy_joules, g.cost_usd
FROM (
    SELECT max(substr(started_at, 1, 10)) AS day, step, energy_basis, max(run) AS run, count(*) AS attempts,
        sum(CASE WHEN status IN ('done', 'running') THEN 0 ELSE 1 END) AS failed, sum(wall_s) AS wall_s, sum(cpu_s) AS cpu_s,
        sum(CASE WHEN wall_s > cpu_s THEN wall_s - cpu_s ELSE 0.0 END) AS idle_s, sum(energy_joules) AS energy_joules, sum(cost_usd) AS cost_usd
    FROM attempts WHERE substr(started_at, 1, 10) >= :since AND substr(started_at, 1, 10) < :until GROUP BY substr(started_at, 1, 10), step, energy_basis
) AS g
ORDER BY g.day, g.step, g.energy_basis;

-- name: money_beside
-- What was spent in a period and is in no ended attempt's cost: of running and lost attempts by step, of services by their address.
SELECT substr(s.hour, 1, 10) AS day, s.kind, CASE WHEN s.kind = 'service' THEN s.spender ELSE coalesce(a.step, '') END AS step,
    s.energy_basis, sum(s.up_s), sum(s.busy_s), sum(CASE WHEN s.up_s > s.busy_s THEN s.up_s - s.busy_s ELSE 0.0 END),
    sum(s.energy_joules), sum(s.usd)
FROM spending AS s LEFT JOIN attempts AS a ON a.id = s.spender
WHERE substr(s.hour, 1, 10) >= :since AND substr(s.hour, 1, 10) < :until AND s.kind <> 'run' AND (a.id IS NULL OR a.status = 'running' OR a.cost_usd = 0)
GROUP BY substr(s.hour, 1, 10), s.kind, CASE WHEN s.kind = 'service' THEN s.spender ELSE coalesce(a.step, '') END, s.energy_basis
ORDER BY day, step;

-- name: money_runs
-- The runs of a period that cost most (or took most, where nothing costs), a page of them.
SELECT g.run, r.status, r.started_at, r.command, g.attempts, g.wall_s, g.cpu_s, g.idle_s, g.measured, g.assumed, g.cost_usd
FROM (
    SELECT run, count(*) AS attempts, sum(wall_s) AS wall_s, sum(cpu_s) AS cpu_s,
        sum(CASE WHEN wall_s > cpu_s THEN wall_s - cpu_s ELSE 0.0 END) AS idle_s,
        sum(CASE WHEN energy_basis = 'measured' THEN energy_joules ELSE 0.0 END) AS measured,
        sum(CASE WHEN energy_basis = 'measured' THEN 0.0 ELSE energy_joules END) AS assumed, sum(cost_usd) AS cost_usd
    FROM attempts WHERE substr(started_at, 1, 10) >= :since AND substr(started_at, 1, 10) < :until
    GROUP BY run ORDER BY sum(cost_usd) DESC, sum(wall_s) DESC, run LIMIT :limit OFFSET :skip
) AS g JOIN runs AS r ON r.id = g.run
ORDER BY g.cost_usd DESC, g.wall_s DESC, g.run;

-- name: money_first$
-- The day on which the first attempt began, or the first service was up; none where there is neither.
SELECT min(day) FROM (SELECT min(substr(started_at, 1, 10)) AS day FROM attempts UNION ALL SELECT min(substr(hour, 1, 10)) FROM spending) AS days;
