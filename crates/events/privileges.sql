-- What the roles of crates/events need in a database whose migrations have run, beside CONNECT.
--   psql -v writer=app -v relay=app -f privileges.sql
-- The relay's functions (pg_control_system, pg_walfile_name, pg_current_wal_*_lsn,
-- pg_logical_emit_message) are everybody's by default.

-- Who appends events in a business transaction.
GRANT USAGE ON SCHEMA ficus TO :"writer";
GRANT INSERT ON ficus.outbox TO :"writer";
GRANT USAGE ON SEQUENCE ficus.outbox_id_seq TO :"writer";

-- Who publishes them, and who asks how far that is.
GRANT USAGE ON SCHEMA ficus TO :"relay";
GRANT SELECT, DELETE ON ficus.outbox TO :"relay";
GRANT SELECT, INSERT, UPDATE ON ficus.relay TO :"relay";
