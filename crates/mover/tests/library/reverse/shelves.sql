SELECT area, number, label FROM public.places
