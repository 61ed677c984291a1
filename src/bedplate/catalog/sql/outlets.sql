-- What other tools are told of a run.

-- name: inputs_of_attempt
-- The versions that an attempt was handed.
SELECT DISTINCT artifact, number FROM inputs WHERE attempt = :attempt AND number IS NOT NULL ORDER BY artifact, number;

-- name: sources_of_attempt
-- What an attempt read of its sources.
SELECT parameter, entries FROM source_entries WHERE attempt = :attempt ORDER BY parameter;
