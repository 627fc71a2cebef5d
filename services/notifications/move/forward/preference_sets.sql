SELECT user_id, version
FROM public.notification_preferences
