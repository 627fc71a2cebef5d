SELECT id AS purchase_id, customer AS buyer, total, note AS remark FROM public.orders
