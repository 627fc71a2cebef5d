-- What changes of a table's rows led to before and lead to now, as one row of text.
CREATE FUNCTION ficus.texts_of(p_record text, p_columns text[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'ROW(' || coalesce(string_agg(format('%s.%I::text', p_record, c), ', ' ORDER BY c), 'NULL::text') || ')'
    FROM unnest(p_columns) AS c
$$;

-- Makes a table's capture function, with its columns written out. Most updates change neither key nor links: what a row
-- led to before is put together only where it is another thing. Text is compared, since every type has that.
CREATE OR REPLACE FUNCTION ficus.write_capture(p_capability text, p_table text, p_key text[], p_links text[])
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION ficus.%I() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER '
        'SET search_path = pg_catalog, pg_temp AS %L',
        p_capability || '.' || p_table,
        format($body$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO ficus.dirty (capability, tbl, key, links) VALUES (%1$L, %2$L, %3$s, %4$s);
    END IF;
    IF TG_OP = 'INSERT' THEN
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        IF %5$s IS NOT DISTINCT FROM %6$s THEN
            RETURN NULL;
        END IF;
    END IF;
    INSERT INTO ficus.dirty (capability, tbl, key, links) VALUES (%1$L, %2$L, %7$s, %8$s);
    RETURN NULL;
END $body$,
            p_capability, p_table,
            ficus.object_of('NEW', p_key), ficus.object_of('NEW', p_links),
            ficus.texts_of('OLD', p_key || p_links), ficus.texts_of('NEW', p_key || p_links),
            ficus.object_of('OLD', p_key), ficus.object_of('OLD', p_links)));
END $$;
