SELECT name, subject, body
FROM public.email_templates
