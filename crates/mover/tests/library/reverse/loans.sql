SELECT id, isbn, nr, at AT TIME ZONE 'UTC' AS at FROM public.lendings
