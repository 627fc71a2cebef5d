-- The outbox of this database and how far each capability's relay has read it. Schema ficus is the
-- engine's own.
CREATE SCHEMA IF NOT EXISTS ficus;

CREATE TABLE ficus.outbox (
    id          bigserial PRIMARY KEY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    capability  text NOT NULL,
    topic       text NOT NULL,
    key         text NOT NULL,
    -- Of the aggregate, from UPDATE … SET version = version + 1 RETURNING, which locks it before id is drawn.
    version     bigint NOT NULL,
    event_id    uuid NOT NULL DEFAULT gen_random_uuid(),
    type        text NOT NULL,
    payload     bytea NOT NULL CHECK (octet_length(payload) <= 262144),
    traceparent text,
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_by_xid ON ficus.outbox (capability, xid, id);

-- One relay a capability that publishes from here.
CREATE TABLE ficus.relay (
    capability        text PRIMARY KEY,
    -- Everything that this snapshot sees is acknowledged by the broker.
    snap              pg_snapshot NOT NULL,
    -- The round that is under way: its snapshot and the last id that is acknowledged.
    round_snap        pg_snapshot,
    round_id          bigint,
    system_identifier bigint NOT NULL,
    timeline          int NOT NULL,
    -- The leader by lease; token goes up by one with every new leader and is matched by every advance.
    holder            text,
    token             bigint NOT NULL DEFAULT 0,
    expires_at        timestamptz NOT NULL DEFAULT '-infinity',
    -- Set while another database's relay has not confirmed what it published of this capability.
    held              boolean NOT NULL DEFAULT false,
    -- Why it has stopped until a person clears this: it must not go on.
    stopped           text
);

-- What a relay has not yet sent and confirmed; without a relay, all of it.
CREATE FUNCTION ficus.relay_lag(
    of_capability text, OUT events bigint, OUT age interval, OUT held boolean, OUT stopped text
) LANGUAGE sql STABLE AS $$
    SELECT count(unsent.id), coalesce(clock_timestamp() - min(unsent.created_at), interval '0'),
           coalesce(bool_or(relay.held), false), max(relay.stopped)
    FROM (VALUES (of_capability)) AS wanted (capability)
    LEFT JOIN ficus.relay USING (capability)
    CROSS JOIN LATERAL (SELECT coalesce(relay.snap, '1:1:') AS snap) AS confirmed
    LEFT JOIN LATERAL (
        SELECT o.id, o.xid, o.created_at FROM ficus.outbox AS o
        WHERE o.capability = wanted.capability AND o.xid >= pg_snapshot_xmax(confirmed.snap)
        UNION ALL
        SELECT o.id, o.xid, o.created_at FROM pg_snapshot_xip(confirmed.snap) AS open (xid)
        CROSS JOIN LATERAL (
            SELECT * FROM ficus.outbox AS o WHERE o.capability = wanted.capability AND o.xid = open.xid
        ) AS o
    ) AS unsent
    ON relay.round_snap IS NULL
       OR unsent.id > relay.round_id
       OR NOT pg_visible_in_snapshot(unsent.xid, relay.round_snap)
$$;
