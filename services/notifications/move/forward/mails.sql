SELECT id,
       user_id,
       template,
       cause,
       task_id,
       traceparent,
       created_at AT TIME ZONE 'UTC' AS created_at
FROM public.emails
