SELECT code, name, born FROM public.authors;
