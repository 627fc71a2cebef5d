SELECT isbn, nr, state::text AS state FROM public.items
