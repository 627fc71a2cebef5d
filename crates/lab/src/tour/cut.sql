-- Drops the foreign keys by which notifications refer to other capabilities' tables. A lock that is not
-- had within 50 ms is given up, so that customers do not queue behind it, and asked for again.
SET lock_timeout = '50ms';
DO $$
DECLARE
    edge record;
    tries int;
BEGIN
    FOR edge IN
        SELECT conrelid::regclass AS table, conname
        FROM pg_constraint
        WHERE contype = 'f'
          AND conrelid IN ('notifications'::regclass, 'notification_preferences'::regclass, 'emails'::regclass)
          AND confrelid IN ('users'::regclass, 'workspaces'::regclass, 'tasks'::regclass, 'comments'::regclass)
        ORDER BY conrelid, conname
    LOOP
        tries := 0;
        LOOP
            BEGIN
                EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', edge.table, edge.conname);
                EXIT;
            EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
                tries := tries + 1;
                IF tries >= 100 THEN
                    RAISE;
                END IF;
            END;
            COMMIT;
            PERFORM pg_sleep(0.02);
        END LOOP;
        COMMIT;
    END LOOP;
END $$;
