SELECT topic, key, event_id, reason, parked_at AT TIME ZONE 'UTC' AS parked_at
FROM public.parked_keys
