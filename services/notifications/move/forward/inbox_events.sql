SELECT event_id, applied_at AT TIME ZONE 'UTC' AS applied_at
FROM public.notifications_inbox
