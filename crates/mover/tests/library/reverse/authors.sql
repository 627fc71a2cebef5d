SELECT code, name, born FROM public.people
