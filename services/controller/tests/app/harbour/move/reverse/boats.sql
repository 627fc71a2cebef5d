SELECT vessel AS name, line_count::int AS entries FROM public.vessels
