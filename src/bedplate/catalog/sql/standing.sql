-- How everything stands, in numbers: what dashboards and alerts look at.

-- name: standing_runs
-- Runs begun since a time, by who began them and how they stand.
SELECT origin, status, count(*) FROM runs WHERE started_at >= :since GROUP BY origin, status;

-- name: standing_running
-- Runs that go on, by who began them, and when the oldest began.
SELECT origin, count(*), min(started_at) FROM runs WHERE status = 'running' GROUP BY origin;

-- name: standing_steps
-- Steps of runs begun since a time, by how they stand.
SELECT s.status, count(*) FROM steps AS s JOIN runs AS r ON r.id = s.run WHERE r.started_at >= :since GROUP BY s.status;

-- name: standing_due
-- Decisions of due work since a time, by how they ended.
SELECT status, count(*) FROM occurrences WHERE decided_at >= :since GROUP BY status;

-- name: standing_due_last$
-- When due work was last decided.
SELECT max(decided_at) FROM occurrences;

-- name: standing_drift
-- The newest event of drift of each service.
SELECT e.subject, e.at FROM events AS e
JOIN (SELECT subject, max(id) AS id FROM events WHERE kind = 'drift.found' GROUP BY subject) AS l ON l.id = e.id;

-- name: standing_spent
-- What was spent and is set aside since an hour, by kind of spender.
SELECT kind, sum(usd), sum(held_usd) FROM spending WHERE hour >= :since GROUP BY kind;

-- name: standing_deliveries
-- Deliveries to webhooks, by how they stand.
SELECT status, count(*) FROM deliveries GROUP BY status;
