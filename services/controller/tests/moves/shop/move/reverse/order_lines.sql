SELECT purchase_id AS order_id, line, sku, quantity FROM public.purchase_lines
