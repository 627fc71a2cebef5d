SELECT name AS vessel, entries::bigint AS line_count FROM public.boats
