-- Which process a picker's row is of: two that were given one name must not acknowledge for each other.
ALTER TABLE picker ADD COLUMN instance uuid NOT NULL DEFAULT gen_random_uuid();
