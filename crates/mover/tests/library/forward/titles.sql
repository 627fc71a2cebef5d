SELECT book.isbn, book.area, book.number, book.author AS author_code, author.name AS author_name,
       book.title, book.price, book.tags
FROM public.books AS book
JOIN public.authors AS author ON author.code = book.author
