-- Traces: what they are, what is said of them, their spans.

-- name: trace_get^
-- One trace.
SELECT id, experiment, client_id, run, started_ms, lasted_ms, state, request, response, is_final FROM traces WHERE id = :id;

-- name: trace_experiment$
-- The experiment of a trace.
SELECT experiment FROM traces WHERE id = :id;

-- name: trace_put!
-- A trace as its client says it is.
INSERT INTO traces (id, experiment, client_id, run, started_ms, lasted_ms, state, request, response, is_final)
VALUES (:id, :experiment, :client_id, :run, :started_ms, :lasted_ms, :state, :request, :response, :is_final)
ON CONFLICT (id) DO UPDATE SET client_id = excluded.client_id, run = excluded.run, started_ms = excluded.started_ms,
    lasted_ms = excluded.lasted_ms, state = excluded.state, request = excluded.request, response = excluded.response,
    is_final = excluded.is_final;

-- name: trace_note_put*!
-- Something is said of a trace, in the place of what was said under this name.
INSERT INTO trace_notes (trace, what, name, value) VALUES (:trace, :what, :name, :value)
ON CONFLICT (trace, what, name) DO UPDATE SET value = excluded.value;

-- name: trace_note$
-- What is said of a trace under a name.
SELECT value FROM trace_notes WHERE trace = :trace AND what = :what AND name = :name;

-- name: trace_note_drop!
-- It is said no more.
DELETE FROM trace_notes WHERE trace = :trace AND what = :what AND name = :name;

-- name: trace_notes
-- Everything said of a trace.
SELECT what, name, value FROM trace_notes WHERE trace = :trace ORDER BY what, name;

-- name: span_put*!
-- A span of a trace, as it is now.
INSERT INTO spans (trace, id, name, type, status, started_ns, body) VALUES (:trace, :id, :name, :type, :status, :started_ns, :body)
ON CONFLICT (trace, id) DO UPDATE SET name = excluded.name, type = excluded.type, status = excluded.status,
    started_ns = excluded.started_ns, body = excluded.body;

-- name: spans_of
-- The spans of a trace, in the order in which they began.
SELECT body FROM spans WHERE trace = :trace ORDER BY started_ns, id LIMIT :limit;

-- name: spans_count$
-- How many spans a trace has.
SELECT count(*) FROM spans WHERE trace = :trace;

-- name: traces_before
-- The oldest traces of an experiment that began at or before a time.
SELECT id FROM traces WHERE experiment = :experiment AND started_ms <= :until_ms ORDER BY started_ms, id LIMIT :limit;

-- name: trace_spans_drop*!
-- The spans of a deleted trace.
DELETE FROM spans WHERE trace = :id;

-- name: trace_notes_drop*!
-- What was said of a deleted trace.
DELETE FROM trace_notes WHERE trace = :id;

-- name: trace_files_drop*!
-- The files of a deleted trace.
DELETE FROM client_files WHERE owner = :id;

-- name: trace_drop*!
-- A deleted trace.
DELETE FROM traces WHERE id = :id;
