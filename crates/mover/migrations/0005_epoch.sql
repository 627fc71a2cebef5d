-- A database's epoch never goes back. A control row of an earlier epoch is older than what it speaks of, as one from a
-- backup is: by it the wrong side would be opened, over rows that the other one has acknowledged since.

CREATE OR REPLACE FUNCTION ficus.raise_token(p_capability text, p_attempt bigint, p_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO ficus.token (capability, epoch, attempt) VALUES (p_capability, p_epoch, p_attempt)
    ON CONFLICT (capability) DO UPDATE SET epoch = EXCLUDED.epoch, attempt = EXCLUDED.attempt
    WHERE token.attempt <= EXCLUDED.attempt AND token.epoch <= EXCLUDED.epoch;
    IF FOUND THEN
        RETURN true;
    END IF;
    PERFORM FROM ficus.token WHERE capability = p_capability AND epoch > p_epoch;
    IF FOUND THEN
        RAISE EXCEPTION 'epoch % of % is over', p_epoch, p_capability USING ERRCODE = 'ZF003';
    END IF;
    RETURN false;
END $$;

-- The same with the epoch that begins: the database knows it from the commit on that opens it.
DROP FUNCTION ficus.open(text, bigint, text, text[]);
CREATE FUNCTION ficus.open(
    p_capability text, p_attempt bigint, p_epoch bigint, p_direction text, p_tables text[]
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened text;
BEGIN
    PERFORM ficus.begin_step(p_capability, p_attempt);
    PERFORM set_config('idle_in_transaction_session_timeout', '2s', true);
    UPDATE ficus.token SET epoch = p_epoch WHERE capability = p_capability AND epoch < p_epoch;
    UPDATE ficus.cursor SET closed = true WHERE capability = p_capability AND direction = p_direction;
    FOREACH opened IN ARRAY p_tables LOOP
        PERFORM ficus.set_fence(opened, false);
    END LOOP;
END $$;
