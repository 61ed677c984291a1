-- What the console keeps and shows.

-- Who moved an alias, where it was a person; before this the reason said it.
ALTER TABLE promotions ADD COLUMN actor TEXT NOT NULL DEFAULT '';
