-- The audit log: a chain of acts, and its signed heads.

-- name: audit_last^
-- The end of the chain.
SELECT id, digest FROM audit ORDER BY id DESC LIMIT 1;

-- name: audit_digest$
-- The digest of one entry.
SELECT digest FROM audit WHERE id = :id;

-- name: audit_add!
-- One act.
INSERT INTO audit (id, at, actor, action, resource, outcome, data, digest)
VALUES (:id, :at, :actor, :action, :resource, :outcome, :data, :digest);

-- name: audit_after
-- Acts after an id, oldest first.
SELECT id, at, actor, action, resource, outcome, data, digest FROM audit WHERE id > :after ORDER BY id LIMIT :most;

-- name: audit_found
-- The newest acts before an id, each condition passed over where it is empty.
SELECT id, at, actor, action, resource, outcome, data, digest FROM audit
WHERE id < :before AND (:actor = '' OR actor = :actor) AND (:action = '' OR action = :action) AND (:resource = '' OR resource = :resource)
ORDER BY id DESC LIMIT :most;

-- name: audit_heads
-- Every signed head.
SELECT entry, digest, at, signature, key FROM audit_heads ORDER BY entry;

-- name: audit_head_last^
-- The newest signed head.
SELECT entry, digest, at, signature, key FROM audit_heads ORDER BY entry DESC LIMIT 1;

-- name: audit_heads_last
-- The newest signed heads, newest first.
SELECT entry, digest, at, signature, key FROM audit_heads ORDER BY entry DESC LIMIT :limit;

-- name: audit_head_add!
-- The chain's end was signed; another process may have been first.
INSERT INTO audit_heads (entry, digest, at, signature, key) VALUES (:entry, :digest, :at, :signature, :key) ON CONFLICT (entry) DO NOTHING;
