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

-- Begins every step: names the session after the attempt, so that a later one can end it, bounds its locks,
-- and holds the token row. deadlock_timeout makes an autovacuum yield; it takes a privilege that may be lacking.
CREATE FUNCTION ficus.begin_step(p_capability text, p_attempt bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM set_config('application_name', format('ficus:%s:%s', p_capability, p_attempt), false);
    PERFORM set_config('lock_timeout', '60ms', true);
    BEGIN
        PERFORM set_config('deadlock_timeout', '10ms', true);
    EXCEPTION WHEN insufficient_privilege THEN
        NULL;
    END;
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

-- Shuts or opens one table, and waits out every writer that had begun.
CREATE FUNCTION ficus.set_fence(p_table text, p_shut boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verb text := CASE WHEN p_shut THEN 'ENABLE ALWAYS' ELSE 'DISABLE' END;
BEGIN
    EXECUTE format('LOCK TABLE public.%I IN SHARE ROW EXCLUSIVE MODE', p_table);
    EXECUTE format(
        'ALTER TABLE public.%1$I %2$s TRIGGER ficus_fence_row, %2$s TRIGGER ficus_fence_statement, '
        '%2$s TRIGGER ficus_fence_truncate', p_table, verb);
END $$;

CREATE FUNCTION ficus.fence_table(p_capability text, p_attempt bigint, p_table text, p_shut boolean)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    PERFORM ficus.set_fence(p_table, p_shut);
END $$;

-- Capture and fence of one table, the fence as p_shut says. Applied rows leave no trace and meet no fence.
CREATE FUNCTION ficus.install_table(
    p_capability text, p_attempt bigint, p_table text, p_key text[], p_links text[], p_shut boolean
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    customers text := $w$current_setting('ficus.applier', true) IS DISTINCT FROM 'on'$w$;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    PERFORM ficus.write_capture(p_capability, p_table, p_key, p_links);
    EXECUTE format('LOCK TABLE public.%I IN SHARE ROW EXCLUSIVE MODE', p_table);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_capture_row AFTER INSERT OR UPDATE OR DELETE ON public.%I '
        'FOR EACH ROW WHEN (%s) EXECUTE FUNCTION ficus.%I()', p_table, customers, p_capability || '.' || p_table);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_capture_truncate AFTER TRUNCATE ON public.%I FOR EACH STATEMENT '
        'WHEN (%s) EXECUTE FUNCTION ficus.capture_truncate(%L, %L)', p_table, customers, p_capability, p_table);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_row BEFORE INSERT OR UPDATE OR DELETE ON public.%I '
        'FOR EACH ROW WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_statement BEFORE INSERT OR UPDATE OR DELETE ON public.%I '
        'FOR EACH STATEMENT WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_truncate BEFORE TRUNCATE ON public.%I '
        'FOR EACH STATEMENT WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER ficus_capture_row, '
        'ENABLE ALWAYS TRIGGER ficus_capture_truncate', p_table);
    PERFORM ficus.set_fence(p_table, p_shut);
END $$;

-- Makes a projection's view; a change of its columns needs it gone first.
CREATE FUNCTION ficus.install_view(p_capability text, p_attempt bigint, p_table text, p_projection text)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    EXECUTE format('DROP VIEW IF EXISTS ficus.%I', p_capability || '.' || p_table);
    EXECUTE format('CREATE VIEW ficus.%I AS %s', p_capability || '.' || p_table, p_projection);
END $$;

-- Disables what uninstall_table will take away: dropping locks readers out too, so it comes later and is short.
CREATE FUNCTION ficus.quiet_table(p_capability text, p_attempt bigint, p_table text, p_fence_too boolean)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    quieted text;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    FOR quieted IN SELECT ficus.triggers_of(p_table, p_fence_too) LOOP
        EXECUTE format('ALTER TABLE public.%I DISABLE TRIGGER %I', p_table, quieted);
    END LOOP;
END $$;

-- The mover's triggers on a table; none if the table is gone.
CREATE FUNCTION ficus.triggers_of(p_table text, p_fence_too boolean) RETURNS SETOF text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT tgname::text FROM pg_trigger
    WHERE tgrelid = to_regclass(format('public.%I', p_table)) AND NOT tgisinternal
      AND (tgname IN ('ficus_capture_row', 'ficus_capture_truncate')
           OR p_fence_too AND tgname IN ('ficus_fence_row', 'ficus_fence_statement', 'ficus_fence_truncate'))
$$;

-- Takes a table's capture away, and its fence if p_fence_too. May be repeated.
CREATE FUNCTION ficus.uninstall_table(p_capability text, p_attempt bigint, p_table text, p_fence_too boolean)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    doomed text;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    FOR doomed IN SELECT ficus.triggers_of(p_table, p_fence_too) LOOP
        EXECUTE format('DROP TRIGGER %I ON public.%I', doomed, p_table);
    END LOOP;
    EXECUTE format('DROP FUNCTION IF EXISTS ficus.%I()', p_capability || '.' || p_table);
END $$;

-- Renames a table of the old owner away. Its fence goes along; capture is gone before.
CREATE FUNCTION ficus.retire_table(p_capability text, p_attempt bigint, p_table text, p_retired text)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    IF to_regclass(format('public.%I', p_table)) IS NOT NULL THEN
        EXECUTE format('ALTER TABLE public.%I RENAME TO %I', p_table, p_retired);
    END IF;
END $$;

CREATE FUNCTION ficus.drop_views(p_capability text, p_attempt bigint, p_tables text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    doomed text;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    FOREACH doomed IN ARRAY p_tables LOOP
        EXECUTE format('DROP VIEW IF EXISTS ficus.%I', p_capability || '.' || doomed);
    END LOOP;
END $$;

-- The cursor of a direction. One of the same epoch that is there stays: the source has been shut since, or has
-- been captured since, so that its start is as good, and it may be far beyond it.
CREATE FUNCTION ficus.store_cursor(
    p_capability text, p_attempt bigint, p_direction text, p_epoch bigint, p_snap pg_snapshot,
    p_snap_at double precision, p_chunk jsonb, p_system bigint, p_timeline int, p_definitions text
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    INSERT INTO ficus.cursor (capability, direction, epoch, snap, snap_at, chunk, verify,
                              system_identifier, timeline, definitions)
    VALUES (p_capability, p_direction, p_epoch, p_snap, to_timestamp(p_snap_at), p_chunk, '{}',
            p_system, p_timeline, p_definitions)
    ON CONFLICT (capability, direction) DO UPDATE
    SET epoch = EXCLUDED.epoch, version = cursor.version + 1, snap = EXCLUDED.snap, snap_at = EXCLUDED.snap_at,
        page = NULL, chunk = EXCLUDED.chunk, verify = EXCLUDED.verify,
        system_identifier = EXCLUDED.system_identifier, timeline = EXCLUDED.timeline,
        definitions = EXCLUDED.definitions, closed = false
    WHERE cursor.epoch < EXCLUDED.epoch;
    IF FOUND THEN
        DELETE FROM ficus.reverify WHERE capability = p_capability AND direction = p_direction;
    END IF;
END $$;

-- C5: the caller leaves the transaction open. A lock that fails here fails before the point of no return.
CREATE FUNCTION ficus.open(p_capability text, p_attempt bigint, p_direction text, p_tables text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened text;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
    UPDATE ficus.cursor SET closed = true WHERE capability = p_capability AND direction = p_direction;
    FOREACH opened IN ARRAY p_tables LOOP
        PERFORM ficus.set_fence(opened, false);
    END LOOP;
END $$;

-- Cancel: no follower writes after this, then the rows go.
CREATE FUNCTION ficus.empty_target(p_capability text, p_attempt bigint, p_tables text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    UPDATE ficus.cursor SET closed = true WHERE capability = p_capability;
    PERFORM set_config('ficus.applier', 'on', true);
    EXECUTE 'TRUNCATE ' || (SELECT string_agg(format('public.%I', t), ', ') FROM unnest(p_tables) AS t);
END $$;

CREATE FUNCTION ficus.close_cursors(p_capability text, p_attempt bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    UPDATE ficus.cursor SET closed = true WHERE capability = p_capability AND NOT closed;
END $$;

-- Everything but the token row, which goes on shutting out attempts that are over.
CREATE FUNCTION ficus.forget(p_capability text, p_attempt bigint)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    DELETE FROM ficus.cursor WHERE capability = p_capability;
    DELETE FROM ficus.reverify WHERE capability = p_capability;
    DELETE FROM ficus.dirty WHERE capability = p_capability;
    DELETE FROM ficus.pruned WHERE capability = p_capability;
END $$;

-- A hash of what a cursor's rows were read through. A table that was made anew has another oid.
CREATE FUNCTION ficus.definitions(p_tables text[], p_views text[]) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT md5(coalesce(string_agg(line, E'\n' ORDER BY line), ''))
    FROM (
        SELECT format('%s %s %s %s %s', c.oid, c.relname, a.attname, a.atttypid, a.atttypmod) AS line
        FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY (p_tables)
          AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT format('%s %s', c.relname, md5(r.ev_action::text))
        FROM pg_class AS c JOIN pg_rewrite AS r ON r.ev_class = c.oid
        WHERE c.relnamespace = 'ficus'::regnamespace AND c.relname = ANY (p_views)
    ) AS lines
$$;

-- The first look of a page, in its REPEATABLE READ transaction: what the source is, and the snapshot. flushed is
-- whether the log was flushed past the snapshot. The timeline is that of the log's own file name: the control
-- file shows the old one for seconds after a promotion.
CREATE FUNCTION ficus.look(
    p_tables text[], p_views text[],
    OUT recovering boolean, OUT system bigint, OUT timeline int, OUT definitions text,
    OUT snap pg_snapshot, OUT at double precision, OUT flushed boolean
) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    snap := pg_current_snapshot();
    at := extract(epoch FROM clock_timestamp());
    recovering := pg_is_in_recovery();
    IF recovering THEN
        RETURN;
    END IF;
    flushed := pg_current_wal_insert_lsn() <= pg_current_wal_flush_lsn();
    system := (SELECT system_identifier FROM pg_control_system());
    timeline := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int;
    definitions := ficus.definitions(p_tables, p_views);
END $$;

-- Removes up to 10,000 entries that a snapshot confirmed long ago sees; how many. How far comes first, so that
-- nobody takes a gap for silence.
CREATE FUNCTION ficus.prune(p_capability text, p_snap pg_snapshot) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    removed bigint;
BEGIN
    INSERT INTO ficus.pruned (capability, snap) VALUES (p_capability, p_snap)
    ON CONFLICT (capability) DO UPDATE SET snap = EXCLUDED.snap
    WHERE pg_snapshot_xmin(pruned.snap) < pg_snapshot_xmin(EXCLUDED.snap);
    DELETE FROM ficus.dirty
    WHERE (capability, xid, id) IN (
        SELECT capability, xid, id FROM ficus.dirty
        WHERE capability = p_capability AND xid < pg_snapshot_xmin(p_snap)
        ORDER BY xid, id LIMIT 10000
    );
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;
