SELECT name, subject, body
FROM public.templates
