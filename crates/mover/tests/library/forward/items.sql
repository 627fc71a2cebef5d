SELECT isbn, nr, state FROM public.copies
