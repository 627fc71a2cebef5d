SELECT area, number, label FROM public.shelves
