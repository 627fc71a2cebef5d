SELECT person.user_id,
       coalesce(document.settings, '{}'::jsonb) AS settings,
       person.version
FROM public.preference_sets AS person
CROSS JOIN LATERAL (
    SELECT jsonb_object_agg(
               preference.kind::text,
               jsonb_build_object('in_app', preference.in_app, 'email', preference.email)
           ) AS settings
    FROM public.preferences AS preference
    WHERE preference.user_id = person.user_id
) AS document
