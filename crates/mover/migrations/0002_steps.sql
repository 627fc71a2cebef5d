-- The steps of a move, each one call that begins with the token row.

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

-- The cursor of a direction. One of the same epoch that is there stays, for it may be far beyond this start,
-- unless nobody can follow from it: it is closed, or its views were made anew. A start that leaves nothing to copy
-- (before a switch, on a target that is shut) always replaces it: one that an aborted try has left may be of a
-- server that was changed since.
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
    WHERE cursor.epoch < EXCLUDED.epoch
       OR cursor.epoch = EXCLUDED.epoch
          AND ((p_chunk ->> 'done')::boolean OR cursor.closed OR cursor.definitions <> EXCLUDED.definitions);
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

-- The way back of a switch, tried and taken back in one call, so that no lock is held between two round trips.
-- The tables p_open are opened; p_apply is done as the mover does it; rows of p_touch are written as a customer
-- would (p_touched: which), and each of these tables must then have an entry in the log, or is named in uncaptured;
-- p_ask is what is read in the end, into said. $1 of a statement are the values beside it. Names are looked for as
-- the caller does.
CREATE FUNCTION ficus.rehearse(
    p_capability text, p_open text[], p_apply text[], p_applied jsonb[], p_touch text[], p_which text[],
    p_touched jsonb[], p_ask text[], p_asked jsonb[], OUT uncaptured text[], OUT said jsonb
) LANGUAGE plpgsql AS $$
DECLARE
    column_name text;
    answer jsonb;
BEGIN
    PERFORM ficus.bound_locks();
    uncaptured := '{}';
    said := '[]';
    BEGIN
        FOR n IN 1..cardinality(p_open) LOOP
            PERFORM ficus.set_fence(p_open[n], false);
        END LOOP;
        PERFORM set_config('ficus.applier', 'on', true), set_config('session_replication_role', 'replica', true);
        FOR n IN 1..cardinality(p_apply) LOOP
            EXECUTE p_apply[n] USING p_applied[n];
        END LOOP;
        -- Fence and capture run in any role. Foreign keys do not in this one, and need not: the row that one of these
        -- belongs to may not have come here yet.
        PERFORM set_config('ficus.applier', 'off', true);
        FOR n IN 1..cardinality(p_touch) LOOP
            column_name := (SELECT attname FROM pg_attribute
                            WHERE attrelid = to_regclass(format('public.%I', p_touch[n])) AND attnum > 0
                              AND NOT attisdropped AND attidentity <> 'a' AND attgenerated = ''
                            ORDER BY attnum LIMIT 1);
            EXECUTE format('UPDATE public.%1$I AS v SET %2$I = v.%2$I WHERE %3$s',
                           p_touch[n], column_name, p_which[n]) USING p_touched[n];
            IF NOT EXISTS (SELECT FROM ficus.dirty WHERE capability = p_capability
                           AND xid = pg_current_xact_id() AND tbl = p_touch[n]) THEN
                uncaptured := uncaptured || p_touch[n];
            END IF;
        END LOOP;
        FOR n IN 1..cardinality(p_ask) LOOP
            EXECUTE p_ask[n] INTO answer USING p_asked[n];
            said := said || jsonb_build_array(answer);
        END LOOP;
        RAISE EXCEPTION 'taken back' USING ERRCODE = 'ZF003';
    EXCEPTION WHEN SQLSTATE 'ZF003' THEN
        NULL;
    END;
END $$;

-- Cancel: no follower writes after this, then the rows go. Without a cursor none has ever written, and with a closed
-- one this was done before and the fence may be gone: what is there then is not the move's.
CREATE FUNCTION ficus.empty_target(p_capability text, p_attempt bigint, p_tables text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    UPDATE ficus.cursor SET closed = true
    WHERE capability = p_capability AND direction = 'forward' AND NOT closed;
    IF NOT FOUND THEN
        RETURN;
    END IF;
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
        SELECT format('%s %s', c.relname, md5(pg_get_viewdef(c.oid)))
        FROM pg_class AS c
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
