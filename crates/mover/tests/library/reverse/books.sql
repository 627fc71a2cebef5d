SELECT isbn, area, number, author_code AS author, title, price, tags FROM public.titles
