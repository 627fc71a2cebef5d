SELECT document.user_id,
       setting.key AS kind,
       (setting.value ->> 'in_app')::boolean AS in_app,
       (setting.value ->> 'email')::boolean AS email
FROM public.notification_preferences AS document
CROSS JOIN LATERAL jsonb_each(document.settings) AS setting
