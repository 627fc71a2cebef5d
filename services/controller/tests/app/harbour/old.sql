CREATE TABLE boats (
    name    text PRIMARY KEY,
    entries int NOT NULL DEFAULT 0
);
CREATE TABLE log_entries (
    id       bigserial PRIMARY KEY,
    boat     text NOT NULL REFERENCES boats,
    said     text NOT NULL,
    urgent   text NOT NULL CHECK (urgent IN ('yes', 'no')),
    noted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX ON log_entries (boat, id);
CREATE TABLE tides (
    at    timestamptz PRIMARY KEY,
    level numeric NOT NULL
);
INSERT INTO tides VALUES ('2026-01-01 06:12 UTC', 3.4), ('2026-01-01 12:31 UTC', 0.7);
