-- Things that happened, and servers that run now.

-- name: event_add*!
-- Something happened.
INSERT INTO events (kind, subject, at, data) VALUES (:kind, :subject, :at, :data);

-- name: events_after_id
-- What was recorded after an event.
SELECT id, kind, subject, at, data FROM events WHERE id > :after ORDER BY id LIMIT :limit;

-- name: events_since
-- What happened at or after a time.
SELECT id, kind, subject, at, data FROM events WHERE at >= :since ORDER BY id LIMIT :limit;

-- name: events_page
-- The newest before one, each condition passed over where it is empty.
SELECT id, kind, subject, at, data FROM events
WHERE id < :before AND (:subject = '' OR subject = :subject) AND (:since = '' OR at >= :since) AND (:until = '' OR at <= :until)
ORDER BY id DESC LIMIT :limit;

-- name: events_page_of_kind
-- The same of one kind, by its index: the newest before a time and an id.
SELECT id, kind, subject, at, data FROM events
WHERE kind = :kind AND at <= :until AND (at < :until OR id < :before) AND (:subject = '' OR subject = :subject) AND at >= :since
ORDER BY at DESC, id DESC LIMIT :limit;

-- name: event_kinds
-- Every kind that there is, each found by the index and not by reading all.
WITH RECURSIVE found (kind) AS (
    SELECT min(kind) FROM events
    UNION ALL
    SELECT (SELECT min(e.kind) FROM events AS e WHERE e.kind > found.kind) FROM found WHERE found.kind IS NOT NULL
)
SELECT kind FROM found WHERE kind IS NOT NULL;

-- name: event_last^
-- The newest event of a kind, about anything or one subject.
SELECT id, kind, subject, at, data FROM events WHERE kind = :kind AND (:subject = '' OR subject = :subject)
ORDER BY at DESC, id DESC LIMIT 1;

-- name: events_about
-- What happened of a kind to one subject, at or after a time.
SELECT id, kind, subject, at, data FROM events WHERE kind = :kind AND subject = :subject AND at >= :since ORDER BY id;

-- name: service_put!
-- A server serves this.
INSERT INTO services (name, url, pid, host, process_started, models, started_at, heartbeat, replicas)
VALUES (:name, :url, :pid, :host, :process_started, :models, :started_at, :heartbeat, :replicas)
ON CONFLICT (name, url) DO UPDATE SET pid = excluded.pid, host = excluded.host, process_started = excluded.process_started,
    models = excluded.models, started_at = excluded.started_at, heartbeat = excluded.heartbeat, replicas = excluded.replicas;

-- name: service_beat!
-- A sign of life from a server, with what it serves now.
UPDATE services SET heartbeat = :heartbeat, models = :models WHERE name = :name AND url = :url;

-- name: service_drop!
-- It serves this no more.
DELETE FROM services WHERE name = :name AND url = :url;

-- name: services_all
-- Everything that is served.
SELECT name, url, pid, host, process_started, models, started_at, heartbeat, replicas FROM services ORDER BY name, started_at, url;

-- name: source_add!
-- What an attempt read of a source.
INSERT INTO source_entries (attempt, step, parameter, entries) VALUES (:attempt, :step, :parameter, :entries);

-- name: source_head!
-- The head stands on this attempt's offsets.
INSERT INTO source_heads (step, parameter, attempt) VALUES (:step, :parameter, :attempt)
ON CONFLICT (step, parameter) DO UPDATE SET attempt = excluded.attempt;

-- name: source_heads_from_attempt!
-- The head stands on an earlier attempt's offsets again.
INSERT INTO source_heads (step, parameter, attempt)
SELECT step, parameter, attempt FROM source_entries WHERE attempt = :attempt
ON CONFLICT (step, parameter) DO UPDATE SET attempt = excluded.attempt;

-- name: source_entries_of_head$
-- What the head has seen of a source.
SELECT e.entries FROM source_heads AS h JOIN source_entries AS e ON e.attempt = h.attempt AND e.parameter = h.parameter
WHERE h.step = :step AND h.parameter = :parameter;

-- name: source_entries_of_attempt
-- What an attempt read of each source.
SELECT parameter, entries FROM source_entries WHERE attempt = :attempt;
