-- Views that people saved.

-- name: views_of
-- What an account saved of a page, by name.
SELECT name, address, saved_at FROM saved_views WHERE account = :account AND room = :room ORDER BY name;

-- name: view_put!
-- Save one, in the place of one of that name.
INSERT INTO saved_views (account, room, name, address, saved_at) VALUES (:account, :room, :name, :address, :saved_at)
ON CONFLICT (account, room, name) DO UPDATE SET address = excluded.address, saved_at = excluded.saved_at;

-- name: view_drop!
-- Take one away.
DELETE FROM saved_views WHERE account = :account AND room = :room AND name = :name;
