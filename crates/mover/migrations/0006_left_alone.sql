-- A table that accepts writes already is left alone: opening it would stand in line behind whoever holds it, for hours
-- maybe, and all writes behind that. No other step can have shut it in a transaction that is still open: steps of older
-- attempts were ended before, and who opens has waited for its own.
CREATE OR REPLACE FUNCTION ficus.set_fence(p_table text, p_shut boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    verb text := CASE WHEN p_shut THEN 'ENABLE ALWAYS' ELSE 'DISABLE' END;
    open_triggers bigint := (
        SELECT count(*) FROM pg_trigger
        WHERE tgrelid = to_regclass(format('public.%I', p_table)) AND tgenabled = 'D'
          AND tgname IN ('ficus_fence_row', 'ficus_fence_statement', 'ficus_fence_truncate'));
BEGIN
    IF NOT p_shut AND open_triggers = 3 THEN
        RETURN;
    END IF;
    EXECUTE format('LOCK TABLE public.%I IN SHARE ROW EXCLUSIVE MODE', p_table);
    EXECUTE format(
        'ALTER TABLE public.%1$I %2$s TRIGGER ficus_fence_row, %2$s TRIGGER ficus_fence_statement, '
        '%2$s TRIGGER ficus_fence_truncate', p_table, verb);
END $$;

-- One call, so that a controller that stands still holds no row that the relay needs. Whether there is a relay.
CREATE FUNCTION ficus.hold_relay(p_capability text, p_attempt bigint, p_held boolean) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    UPDATE ficus.relay SET held = p_held WHERE capability = p_capability;
    RETURN FOUND;
END $$;
