SELECT id AS mail_id,
       state,
       attempts,
       next_attempt_at AT TIME ZONE 'UTC' AS next_attempt_at,
       nullif(last_error, '') AS last_error,
       version,
       sent_at AT TIME ZONE 'UTC' AS sent_at
FROM public.emails
