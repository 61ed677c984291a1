-- Leases: who may write an artifact, with a number that grows with every holder.

-- name: lease_get^
-- A lease as it stands.
SELECT name, holder, fence, expires_at FROM leases WHERE name = :name;

-- name: lease_put!
-- A lease has a holder.
INSERT INTO leases (name, holder, fence, expires_at) VALUES (:name, :holder, :fence, :expires_at)
ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, fence = excluded.fence, expires_at = excluded.expires_at;

-- name: lease_renew!
-- A sign of life; changes nothing where another holds it now.
UPDATE leases SET expires_at = :expires_at WHERE name = :name AND holder = :holder AND fence = :fence;

-- name: lease_release*!
-- Given back; the fence stays, so that it is never given twice.
UPDATE leases SET holder = '' WHERE name = :name AND holder = :holder AND fence = :fence;

-- name: leases_held
-- Every lease with a holder.
SELECT name, holder, fence, expires_at FROM leases WHERE holder <> '' ORDER BY name;
