SELECT id,
       user_id,
       kind::text AS kind,
       workspace_id,
       actor_id,
       task_id,
       comment_id,
       read_at AT TIME ZONE 'UTC' AS read_at,
       created_at AT TIME ZONE 'UTC' AS created_at
FROM public.inbox_items
