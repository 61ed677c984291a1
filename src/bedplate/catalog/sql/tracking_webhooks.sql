-- Who is told of what by HTTP, and what is still to be told.

-- name: webhook_put!
-- A webhook as it is now.
INSERT INTO webhooks (id, name, description, url, events, secret, status, created_ms, updated_ms)
VALUES (:id, :name, :description, :url, :events, :secret, :status, :created_ms, :updated_ms)
ON CONFLICT (id) DO UPDATE SET name = excluded.name, description = excluded.description, url = excluded.url, events = excluded.events,
    secret = excluded.secret, status = excluded.status, updated_ms = excluded.updated_ms;

-- name: webhook_get^
-- One webhook.
SELECT id, name, description, url, events, secret, status, created_ms, updated_ms FROM webhooks WHERE id = :id AND status <> 'DELETED';

-- name: webhooks_all
-- Every webhook after a place, in the order in which they were made.
SELECT id, name, description, url, events, secret, status, created_ms, updated_ms FROM webhooks
WHERE status <> 'DELETED' AND (created_ms > :after_ms OR (created_ms = :after_ms AND id > :after_id))
ORDER BY created_ms, id LIMIT :limit;

-- name: webhooks_active
-- The webhooks that are told.
SELECT id, name, description, url, events, secret, status, created_ms, updated_ms FROM webhooks WHERE status = 'ACTIVE' ORDER BY id;

-- name: delivery_add!
-- Something is to be told.
INSERT INTO deliveries (webhook, event, body, status, tries, next_ms, answer)
VALUES (:webhook, :event, :body, 'waiting', 0, :next_ms, '');

-- name: deliveries_due
-- What is to be told by now, oldest first.
SELECT d.id, d.event, d.body, d.tries, w.url, w.secret FROM deliveries AS d JOIN webhooks AS w ON w.id = d.webhook
WHERE d.status = 'waiting' AND d.next_ms <= :now_ms AND w.status = 'ACTIVE' ORDER BY d.next_ms, d.id LIMIT :limit;

-- name: delivery_take!
-- Somebody tells it now; should he die, it waits until then. Changes nothing where another was first.
UPDATE deliveries SET tries = tries + 1, next_ms = :until_ms
WHERE id = :id AND status = 'waiting' AND tries = :tries;

-- name: delivery_settle!
-- How telling it went: 'done', 'failed', or 'waiting' for the next try.
UPDATE deliveries SET status = :status, next_ms = :next_ms, answer = :answer WHERE id = :id;

-- name: deliveries_of
-- The newest deliveries of a webhook.
SELECT id, event, status, tries, next_ms, answer FROM deliveries WHERE webhook = :webhook ORDER BY id DESC LIMIT :limit;

-- name: deliveries_given_up!
-- What waits for a webhook that is gone is told no more.
UPDATE deliveries SET status = 'failed', answer = 'the webhook was deleted' WHERE webhook = :webhook AND status = 'waiting';

-- name: deliveries_forget!
-- What was settled before a time is forgotten.
DELETE FROM deliveries WHERE status <> 'waiting' AND next_ms < :before_ms;

-- name: webhook_cursor$
-- The event up to which events were looked at.
SELECT value FROM counters WHERE name = 'webhook_events';

-- name: webhook_cursor_put!
-- Events were looked at up to this one.
INSERT INTO counters (name, value) VALUES ('webhook_events', :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: event_newest$
-- The newest event's id.
SELECT coalesce(max(id), 0) FROM events;
