-- How the replicas behind a router stand, as JSON: a router is on the list of services as they are.
ALTER TABLE services ADD COLUMN replicas TEXT NOT NULL DEFAULT '[]';
