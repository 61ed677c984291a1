-- Files that clients send: keys in the record, bytes in the store under their digest.

-- name: owner_run^
-- The experiment of a run, whether it goes on, and whether it is deleted.
SELECT experiment, origin, status, stage FROM tracked WHERE id = :id;

-- name: owner_logged^
-- The experiment of a logged model, its status, and when it was deleted.
SELECT experiment, status, deleted_ms FROM logged_models WHERE id = :id;

-- name: owner_trace^
-- The experiment of a trace.
SELECT experiment FROM traces WHERE id = :id OR client_id = :id LIMIT 1;

-- name: client_file^
-- One file.
SELECT path, sha256, size_bytes, changed_ms FROM client_files WHERE owner = :owner AND path = :path;

-- name: client_files_below
-- The files between two paths (`folder/` and `folder0`: what lies in the folder), in order.
SELECT path, sha256, size_bytes, changed_ms FROM client_files
WHERE owner = :owner AND path >= :path AND path < :upto ORDER BY path LIMIT :limit;

-- name: client_files_of
-- Every file of an owner, in order.
SELECT path, sha256, size_bytes, changed_ms FROM client_files WHERE owner = :owner ORDER BY path LIMIT :limit;

-- name: client_file_put!
-- A file as it is now.
INSERT INTO client_files (owner, path, sha256, size_bytes, changed_ms) VALUES (:owner, :path, :sha256, :size_bytes, :changed_ms)
ON CONFLICT (owner, path) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes, changed_ms = excluded.changed_ms;

-- name: client_file_drop!
-- A file that its client deleted.
DELETE FROM client_files WHERE owner = :owner AND path = :path;

-- name: client_files_drop_below!
-- A folder that its client deleted.
DELETE FROM client_files WHERE owner = :owner AND path >= :path AND path < :upto;

-- name: client_bytes_grow$
-- Bytes that an experiment's files take, counted as they come and go.
INSERT INTO counters (name, value) VALUES (:name, :by)
ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value RETURNING value;

-- name: client_bytes$
-- Bytes that an experiment's files take.
SELECT value FROM counters WHERE name = :name;

-- name: client_digests
-- The digests of every file whose owner is not deleted, or was after that time; and of parts that came after it.
SELECT f.sha256 FROM client_files AS f
LEFT JOIN tracked AS t ON t.id = f.owner
LEFT JOIN logged_models AS m ON m.id = f.owner
WHERE coalesce(t.deleted_ms, m.deleted_ms, :before_ms) >= :before_ms
UNION
SELECT p.sha256 FROM upload_parts AS p JOIN uploads AS u ON u.id = p.upload WHERE u.created_ms >= :before_ms;

-- name: deleted_owners
-- Who still has files and was deleted before that time, with the bytes of those.
SELECT f.owner, coalesce(t.experiment, m.experiment), CAST(sum(f.size_bytes) AS BIGINT) FROM client_files AS f
LEFT JOIN tracked AS t ON t.id = f.owner
LEFT JOIN logged_models AS m ON m.id = f.owner
WHERE coalesce(t.deleted_ms, m.deleted_ms) < :before_ms
GROUP BY f.owner, coalesce(t.experiment, m.experiment);

-- name: client_files_forget!
-- The files of one who was deleted.
DELETE FROM client_files WHERE owner = :owner;

-- name: upload_add!
-- A file begins to come in parts.
INSERT INTO uploads (id, owner, path, made_by, parts, created_ms) VALUES (:id, :owner, :path, :made_by, :parts, :created_ms);

-- name: upload_get^
-- A file that comes in parts.
SELECT id, owner, path, made_by, parts, created_ms FROM uploads WHERE id = :id;

-- name: upload_part_put!
-- A part has come (again).
INSERT INTO upload_parts (upload, number, sha256, size_bytes) VALUES (:upload, :number, :sha256, :size_bytes)
ON CONFLICT (upload, number) DO UPDATE SET sha256 = excluded.sha256, size_bytes = excluded.size_bytes;

-- name: upload_parts_of
-- The parts that came, in order.
SELECT number, sha256, size_bytes FROM upload_parts WHERE upload = :upload ORDER BY number;

-- name: upload_parts_drop!
-- The parts of an upload that ended.
DELETE FROM upload_parts WHERE upload = :upload;

-- name: upload_drop!
-- An upload that ended.
DELETE FROM uploads WHERE id = :id;

-- name: uploads_stale
-- Uploads that began before that time and never ended.
SELECT id FROM uploads WHERE created_ms < :before_ms;

-- name: files_said
-- The files that an attempt kept beside its record: name and digest (JSON).
SELECT name, value FROM noted WHERE attempt = :attempt AND what = 'file' ORDER BY position;
