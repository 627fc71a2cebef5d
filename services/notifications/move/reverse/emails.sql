SELECT mail.id,
       mail.user_id,
       mail.template,
       mail.cause,
       mail.task_id,
       delivery.state::text AS state,
       delivery.attempts,
       delivery.next_attempt_at AT TIME ZONE 'UTC' AS next_attempt_at,
       coalesce(delivery.last_error, '') AS last_error,
       delivery.version,
       mail.traceparent,
       mail.created_at AT TIME ZONE 'UTC' AS created_at,
       delivery.sent_at AT TIME ZONE 'UTC' AS sent_at
FROM public.mails AS mail
JOIN public.deliveries AS delivery ON delivery.mail_id = mail.id
