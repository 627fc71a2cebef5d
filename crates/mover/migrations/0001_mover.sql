-- What the mover keeps in both databases of a move. Schema ficus is the engine's own.
CREATE SCHEMA IF NOT EXISTS ficus;

-- The fencing token: every transaction of a step begins by matching it, and only raising it updates it.
CREATE TABLE ficus.token (
    capability text PRIMARY KEY,
    epoch      bigint NOT NULL,
    attempt    bigint NOT NULL
);

-- What changed: keys only. The one index serves the cursor; pages go by (xid, id) within a round.
CREATE TABLE ficus.dirty (
    capability text NOT NULL,
    xid        xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id         bigint GENERATED ALWAYS AS IDENTITY,
    tbl        text NOT NULL,
    -- Null: the whole table was truncated.
    key        jsonb,
    -- What else leads to rows of the other side; null if the key says it all.
    links      jsonb,
    PRIMARY KEY (capability, xid, id)
);

-- What this snapshot's xmin is above is no longer in the log.
CREATE TABLE ficus.pruned (
    capability text PRIMARY KEY,
    snap       pg_snapshot NOT NULL
);

-- Counts refusals, also those whose transaction is gone.
CREATE SEQUENCE ficus.refused;

-- In the target of a direction: how far its follower is, and of what.
CREATE TABLE ficus.cursor (
    capability        text NOT NULL,
    direction         text NOT NULL CHECK (direction IN ('forward', 'reverse')),
    epoch             bigint NOT NULL,
    -- Goes up by one with every page; with snap, what a page compares and swaps.
    version           bigint NOT NULL DEFAULT 0,
    snap              pg_snapshot NOT NULL,
    -- When snap was taken, by the source's clock.
    snap_at           timestamptz NOT NULL,
    -- Of a round in several pages: its snapshot and the last entry taken in.
    page              jsonb,
    chunk             jsonb NOT NULL,
    verify            jsonb NOT NULL,
    system_identifier bigint NOT NULL,
    timeline          int NOT NULL,
    definitions       text NOT NULL,
    closed            boolean NOT NULL DEFAULT false,
    PRIMARY KEY (capability, direction)
);

-- In the target of a direction: what was changed since it was compared.
CREATE TABLE ficus.reverify (
    capability text NOT NULL,
    direction  text NOT NULL,
    tbl        text NOT NULL,
    -- Whether rows of the source's table tbl are to be compared with what the target gives back for them.
    inverse    boolean NOT NULL,
    covers     jsonb NOT NULL,
    PRIMARY KEY (capability, direction, tbl, inverse, covers)
);

-- Until the transaction ends, gives up a lock that is not had soon: whoever comes later queues behind one that
-- is waited for. deadlock_timeout makes an autovacuum yield; it takes a privilege that may be lacking.
CREATE FUNCTION ficus.bound_locks() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('lock_timeout', '60ms', true);
    BEGIN
        PERFORM set_config('deadlock_timeout', '10ms', true);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
END $$;

-- A person's own statement that locks a table in use, again and again until it gets its locks, in a transaction
-- of its own each time.
CREATE PROCEDURE ficus.bounded(p_statement text)
LANGUAGE plpgsql AS $$
BEGIN
    FOR try IN 1..200 LOOP
        BEGIN
            PERFORM ficus.bound_locks();
            EXECUTE p_statement;
            RETURN;
        EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
            IF try = 200 THEN
                RAISE;
            END IF;
        END;
        COMMIT;
        PERFORM pg_sleep(0.02 + 0.08 * random());
    END LOOP;
END $$;

-- Begins every step: names the session after the attempt, so that a later one can end it, bounds its locks,
-- and holds the token row.
CREATE FUNCTION ficus.begin_step(p_capability text, p_attempt bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('application_name', format('ficus:%s:%s', p_capability, p_attempt), false);
    PERFORM ficus.bound_locks();
    PERFORM FROM ficus.token
    WHERE capability = p_capability AND attempt = p_attempt FOR SHARE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % of % is over', p_attempt, p_capability USING ERRCODE = 'ZF002';
    END IF;
END $$;

-- Whether the row was there to be raised.
CREATE FUNCTION ficus.raise_token(p_capability text, p_attempt bigint, p_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ficus.token (capability, epoch, attempt) VALUES (p_capability, p_epoch, p_attempt)
    ON CONFLICT (capability) DO UPDATE SET epoch = EXCLUDED.epoch, attempt = EXCLUDED.attempt
    WHERE token.attempt <= EXCLUDED.attempt;
    RETURN FOUND;
END $$;

-- The fence. As the definer, so that applications need no right in this schema.
CREATE FUNCTION ficus.refuse() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known bigint;
BEGIN
    PERFORM nextval('ficus.refused');
    SELECT epoch INTO known FROM ficus.token WHERE capability = TG_ARGV[0];
    RAISE EXCEPTION 'this database does not own %', TG_ARGV[0]
        USING ERRCODE = 'ZF001', DETAIL = format('capability=%s epoch=%s', TG_ARGV[0], coalesce(known, 0));
END $$;

CREATE FUNCTION ficus.capture_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ficus.dirty (capability, tbl) VALUES (TG_ARGV[0], TG_ARGV[1]);
    RETURN NULL;
END $$;

-- `'a', NEW.a, 'b', NEW.b`
CREATE FUNCTION ficus.object_of(p_record text, p_columns text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN count(*) = 0 THEN 'NULL' ELSE
        'jsonb_build_object(' || string_agg(format('%L, %s.%I', c, p_record, c), ', ' ORDER BY c) || ')' END
    FROM unnest(p_columns) AS c
$$;

-- Makes a table's capture function: one with its columns written out is about twice as fast as one for all.
CREATE FUNCTION ficus.write_capture(p_capability text, p_table text, p_key text[], p_links text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION ficus.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER '
        'SET search_path = pg_catalog, pg_temp AS %L',
        p_capability || '.' || p_table,
        format($body$
DECLARE
    old_key jsonb; old_links jsonb; new_key jsonb; new_links jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN
        old_key := %3$s; old_links := %4$s;
    END IF;
    IF TG_OP <> 'DELETE' THEN
        new_key := %5$s; new_links := %6$s;
        INSERT INTO ficus.dirty (capability, tbl, key, links) VALUES (%1$L, %2$L, new_key, new_links);
    END IF;
    IF TG_OP = 'DELETE' OR TG_OP = 'UPDATE'
        AND (old_key <> new_key OR old_links IS DISTINCT FROM new_links) THEN
        INSERT INTO ficus.dirty (capability, tbl, key, links) VALUES (%1$L, %2$L, old_key, old_links);
    END IF;
    RETURN NULL;
END $body$,
            p_capability, p_table,
            ficus.object_of('OLD', p_key), ficus.object_of('OLD', p_links),
            ficus.object_of('NEW', p_key), ficus.object_of('NEW', p_links)));
END $$;
