-- Due work: since when a schedule counts, and every decision with its reason.

-- name: schedule_get^
-- The schedule that a step was last seen with, and since when.
SELECT schedule, since FROM schedules WHERE step = :step;

-- name: schedule_put!
-- A step is seen with this schedule.
INSERT INTO schedules (step, schedule, since) VALUES (:step, :schedule, :since)
ON CONFLICT (step) DO UPDATE SET schedule = excluded.schedule, since = excluded.since;

-- name: occurrence_add!
-- A decision; changes nothing where that occurrence was decided before.
INSERT INTO occurrences (step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at)
VALUES (:step, :kind, :mark, :due_at, :status, :reason, :run, :tries, :fence, :decided_at, :ended_at)
ON CONFLICT (step, kind, mark) DO NOTHING;

-- name: occurrence_take!
-- Who found it left behind takes it up; changes nothing where another was first.
UPDATE occurrences SET fence = :fence, tries = tries + 1
WHERE step = :step AND kind = :kind AND mark = :mark AND status = 'running' AND fence < :fence;

-- name: occurrence_back*!
-- It is left to whoever looks next, and this was no try.
UPDATE occurrences SET tries = tries - 1
WHERE step = :step AND kind = :kind AND mark = :mark AND status = 'running' AND fence = :fence;

-- name: occurrence_run!
-- The run that does it.
UPDATE occurrences SET run = :run WHERE step = :step AND kind = :kind AND mark = :mark AND status = 'running' AND fence = :fence;

-- name: occurrence_end!
-- How it ended; changes nothing where another has taken it over.
UPDATE occurrences SET status = :status, reason = :reason, ended_at = :ended_at
WHERE step = :step AND kind = :kind AND mark = :mark AND status = 'running' AND fence = :fence;

-- name: occurrence_get^
-- One decision.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
WHERE step = :step AND kind = :kind AND mark = :mark;

-- name: occurrence_last^
-- The newest of a step and kind that was due at a time or before.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
WHERE step = :step AND kind = :kind AND due_at <= :until ORDER BY due_at DESC, mark DESC LIMIT 1;

-- name: occurrence_before^
-- The one of a step that was carried out last, whatever made it due.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
WHERE step = :step AND status IN ('running', 'done', 'failed', 'stopped') ORDER BY decided_at DESC, due_at DESC LIMIT 1;

-- name: occurrences_running
-- What is being done, or was left behind.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
WHERE status = 'running' ORDER BY decided_at, step;

-- name: occurrences_newest
-- The newest decisions, newest first.
SELECT step, kind, mark, due_at, status, reason, run, tries, fence, decided_at, ended_at FROM occurrences
ORDER BY decided_at DESC, due_at DESC, step LIMIT :limit;

-- name: parts_made
-- The parts of a step that were made, or found made, by a run that moves heads.
SELECT DISTINCT s.part FROM steps AS s JOIN runs AS r ON r.id = s.run
WHERE s.name = :step AND s.key_parts IS NOT NULL AND s.status IN ('done', 'skipped') AND r.moves_heads = 1;
