SELECT scope, key, request_hash, answer, created_at AT TIME ZONE 'UTC' AS created_at
FROM public.idempotency
