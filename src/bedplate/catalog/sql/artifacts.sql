-- Artifacts and their versions. Format: aiosql's (`^` one row, `$` one value, `!` a change, `*!` many changes, else rows).

-- name: version_head^
-- The version that an artifact's head names.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM artifacts AS a JOIN versions AS v ON v.artifact = a.name AND v.number = a.head
WHERE a.name = :artifact;

-- name: version_heads
-- Every head.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM artifacts AS a JOIN versions AS v ON v.artifact = a.name AND v.number = a.head
ORDER BY v.artifact;

-- name: version_by_number^
-- One version by its number.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM versions AS v
WHERE v.artifact = :artifact AND v.number = :number;

-- name: version_by_alias^
-- The version that an alias names today.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM promotions AS p JOIN versions AS v ON v.artifact = p.model AND v.number = p.version
WHERE p.id = (SELECT max(l.id) FROM promotions AS l WHERE l.model = :artifact AND l.alias = :alias)
  AND NOT EXISTS (SELECT 1 FROM withdrawn AS w WHERE w.promotion = p.id);

-- name: version_by_digest
-- Versions whose digest begins so (two are enough to know that it is ambiguous). `upto` is the prefix and a late character.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM versions AS v
WHERE v.artifact = :artifact AND v.digest >= :digest AND v.digest < :upto
ORDER BY v.number DESC LIMIT 2;

-- name: version_equal^
-- The version with just this content, if there is one (invariant 1: an equal digest makes no new version; what clients register does).
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM versions AS v
WHERE v.artifact = :artifact AND v.digest = :digest AND v.kind = :kind ORDER BY v.number LIMIT 1;

-- name: versions_newest
-- The newest versions of an artifact.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM versions AS v
WHERE v.artifact = :artifact
ORDER BY v.number DESC LIMIT :limit;

-- name: versions_by_attempt
-- What an attempt made, in the order in which its step returned them.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM outputs AS o JOIN versions AS v ON v.artifact = o.artifact AND v.number = o.number
WHERE o.attempt = :attempt
ORDER BY o.position;

-- name: versions_referenced
-- Every version that a head, alias move, verdict, input or output names, unless somebody deleted it; services are added by the caller.
SELECT v.artifact, v.number, v.kind, v.digest, v.uri, v.table_version, v.schema, v.value, v.rows, v.size_bytes, v.meta,
       v.created_at, v.attempt, v.moved_head
FROM versions AS v
WHERE NOT EXISTS (SELECT 1 FROM registered_versions AS r WHERE r.name = v.artifact AND r.number = v.number AND r.stage = 'deleted')
  AND (EXISTS (SELECT 1 FROM outputs AS o WHERE o.artifact = v.artifact AND o.number = v.number)
   OR EXISTS (SELECT 1 FROM inputs AS i WHERE i.artifact = v.artifact AND i.number = v.number)
   OR EXISTS (SELECT 1 FROM artifacts AS a WHERE a.name = v.artifact AND a.head = v.number)
   OR EXISTS (SELECT 1 FROM promotions AS p WHERE p.model = v.artifact AND (p.version = v.number OR p.before = v.number))
   OR EXISTS (SELECT 1 FROM verdicts AS d WHERE (d.model = v.artifact AND d.model_version = v.number)
                                            OR (d.check_name = v.artifact AND d.check_version = v.number)))
ORDER BY v.artifact, v.number;

-- name: artifact_kinds
-- Every artifact with the kind of its newest version.
SELECT name, kind FROM artifacts ORDER BY name;

-- name: artifact_next$
-- Give an artifact its next number, making it known when it is new.
INSERT INTO artifacts (name, kind, head, last) VALUES (:artifact, :kind, NULL, 1)
ON CONFLICT (name) DO UPDATE SET last = artifacts.last + 1, kind = excluded.kind
RETURNING last;

-- name: artifact_head!
-- Move a head; changes nothing where it already stands there.
UPDATE artifacts SET head = :number WHERE name = :artifact AND head IS DISTINCT FROM :number;

-- name: version_add!
-- A new version.
INSERT INTO versions (artifact, number, kind, digest, uri, table_version, schema, value, rows, size_bytes, meta, created_at, attempt, moved_head)
VALUES (:artifact, :number, :kind, :digest, :uri, :table_version, :schema, :value, :rows, :size_bytes, :meta, :created_at, :attempt, :moved_head);

-- name: version_moved_head!
-- A version first made beside the head has now been it.
UPDATE versions SET moved_head = 1 WHERE artifact = :artifact AND number = :number;

-- name: version_place!
-- Equal content was written again because the earlier bytes are gone: this is where they are now.
UPDATE versions SET uri = :uri, table_version = :table_version, schema = :schema, meta = :meta WHERE artifact = :artifact AND number = :number;

-- name: output_add!
-- What an attempt made or made again.
INSERT INTO outputs (attempt, position, artifact, number) VALUES (:attempt, :position, :artifact, :number);

-- name: input_add*!
-- What an attempt was handed.
INSERT INTO inputs (attempt, parameter, artifact, number, view) VALUES (:attempt, :parameter, :artifact, :number, :view)
ON CONFLICT (attempt, parameter) DO UPDATE SET artifact = excluded.artifact, number = excluded.number, view = excluded.view;

-- name: heads_from_attempt
-- Outputs of an attempt that are not their artifact's head.
SELECT o.artifact, o.number FROM outputs AS o JOIN artifacts AS a ON a.name = o.artifact
WHERE o.attempt = :attempt AND a.head IS DISTINCT FROM o.number;

-- name: stamp$
-- How often a head or an alias has moved.
SELECT value FROM counters WHERE name = 'stamp';

-- name: stamp_grow!
-- A head or an alias has moved.
UPDATE counters SET value = value + 1 WHERE name = 'stamp';

-- name: versions_listed
-- Versions of an artifact older than a number, newest first, with the run that made each and why its step ran.
SELECT v.number, v.digest, v.rows, v.size_bytes, v.created_at, v.attempt, t.step, t.run, v.moved_head, coalesce(s.why, '')
FROM versions AS v JOIN attempts AS t ON t.id = v.attempt
LEFT JOIN steps AS s ON s.run = t.run AND s.name = t.step AND s.part = t.part
WHERE v.artifact = :artifact AND v.number < :before
ORDER BY v.number DESC LIMIT :limit;

-- name: versions_growth
-- How large the newest versions of an artifact are, newest first.
SELECT number, created_at, rows, size_bytes FROM versions WHERE artifact = :artifact ORDER BY number DESC LIMIT :limit;

-- name: version_uses
-- Which attempts were handed versions of an artifact, and the first thing that each made; newest first.
SELECT i.number, t.step, i.parameter, i.view, t.run, t.started_at, coalesce(o.artifact || '@' || o.number, '')
FROM inputs AS i JOIN attempts AS t ON t.id = i.attempt
LEFT JOIN outputs AS o ON o.attempt = i.attempt AND o.position = 0
WHERE i.artifact = :artifact AND i.number >= :first AND i.number <= :last
ORDER BY t.started_at DESC, i.attempt LIMIT :limit;

-- name: attempt_made^
-- Of which run an attempt was, at which step, why that ran, and whose run it is.
SELECT t.run, t.step, coalesce(s.why, ''), r.origin
FROM attempts AS t JOIN runs AS r ON r.id = t.run
LEFT JOIN steps AS s ON s.run = t.run AND s.name = t.step AND s.part = t.part
WHERE t.id = :attempt;

-- name: attempts_failed
-- The newest attempts at a step that failed, in the newest runs of the project.
SELECT id, run, step, part, number, fence, started_at, ended_at, status, cause, message, log,
       wall_s, cpu_s, peak_bytes, energy_joules, energy_basis, cost_usd
FROM attempts WHERE run IN (SELECT id FROM runs WHERE origin = 'project' ORDER BY started_at DESC LIMIT :runs)
    AND step = :step AND status = 'failed' ORDER BY started_at DESC, id LIMIT :limit;

-- name: artifacts_looked_up
-- Artifacts that a step was handed as features, or whose head says how it is keyed.
SELECT artifact FROM inputs WHERE view = 'features' AND number IS NOT NULL
UNION
SELECT a.name FROM artifacts AS a JOIN versions AS v ON v.artifact = a.name AND v.number = a.head
WHERE a.kind = 'table' AND v.meta LIKE '%"features":{"created":%'
ORDER BY 1 LIMIT :limit;

-- name: lookup_newest^
-- The newest attempt that was handed an artifact as features, and what its step's key was made of.
SELECT i.parameter, t.run, t.step, coalesce(k.parts, '')
FROM inputs AS i JOIN attempts AS t ON t.id = i.attempt
LEFT JOIN steps AS s ON s.run = t.run AND s.name = t.step AND s.part = t.part LEFT JOIN key_parts AS k ON k.digest = s.key_parts
WHERE i.artifact = :artifact AND i.view = 'features' AND i.number IS NOT NULL ORDER BY i.attempt DESC LIMIT 1;
