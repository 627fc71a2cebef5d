-- Capture and fence of one table, the fence as p_shut says. Applied rows leave no trace and meet no fence.
--
-- Statements meet the fence before they begin. The trigger for each row is for rows that come without a statement, as a
-- subscription's do, and refuses after the row: where a table has one before, COPY writes and logs row by row.
CREATE OR REPLACE FUNCTION ficus.install_table(
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
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_row AFTER INSERT OR UPDATE OR DELETE ON public.%I '
        'FOR EACH ROW WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_statement BEFORE INSERT OR UPDATE OR DELETE ON public.%I '
        'FOR EACH STATEMENT WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('CREATE OR REPLACE TRIGGER ficus_fence_truncate BEFORE TRUNCATE ON public.%I '
        'FOR EACH STATEMENT WHEN (%s) EXECUTE FUNCTION ficus.refuse(%L)', p_table, customers, p_capability);
    EXECUTE format('ALTER TABLE public.%I ENABLE ALWAYS TRIGGER ficus_capture_row, '
        'ENABLE ALWAYS TRIGGER ficus_capture_truncate', p_table);
    PERFORM ficus.set_fence(p_table, p_shut);
END $$;
